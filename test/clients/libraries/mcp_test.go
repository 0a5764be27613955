//go:build linux

package libraries

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/test/process"
)

// An MCP server from npm, started as the manual says, reads for an agent and changes nothing, whatever it is told; and the token is
// not where it could find it.
func TestAnMCPServerReadsAndDoesNotWrite(t *testing.T) {
	t.Parallel()
	k := &kit{modules: process.NodeModules(t, modulesName)}
	s := newSite(t)
	server := k.startMCP(t, s, "--policy", "read-only")
	var tools struct{ Tools []struct{ Name string } }
	server.call(t, "tools/list", map[string]any{}, &tools)
	var names []string
	for _, tool := range tools.Tools {
		names = append(names, tool.Name)
	}
	if !slices.Contains(names, "get-products") || !slices.Contains(names, "manage-product-variants") {
		t.Fatalf("its tools are %v", names)
	}
	for i := range rounds {
		if i > 0 {
			s.awaitExpiry(t)
		}
		if said, failed := server.tool(t, "get-products", map[string]any{"limit": 3}); failed || !strings.Contains(said, `"title":"Product 3"`) {
			t.Errorf("round %d: the products are not read: %s", i, said)
		}
		said, failed := server.tool(t, "manage-product-variants", server.reprice(t))
		if !failed || !strings.Contains(said, "You may only read here") || !strings.Contains(said, "ACCESS_DENIED") {
			t.Errorf("round %d: a change of price is not refused: %s", i, said)
		}
	}
	server.mustKnowNoToken(t, s)
	for _, e := range s.Journal() {
		if strings.Contains(string(e.Body), "mutation") {
			t.Errorf("it reached Shopify: %s", e.Body)
		}
	}
	if got := s.tokens(); got < rounds {
		t.Errorf("%d tokens for %d rounds", got, rounds)
	}
}

// Nothing but the policy keeps it from writing.
func TestAnMCPServerWritesWhereItMay(t *testing.T) {
	t.Parallel()
	k := &kit{modules: process.NodeModules(t, modulesName)}
	s := newSite(t)
	server := k.startMCP(t, s)
	if said, failed := server.tool(t, "manage-product-variants", server.reprice(t)); failed || !strings.Contains(said, `"price":"4.50"`) {
		t.Errorf("the price is not changed: %s", said)
	}
	if said, _ := server.tool(t, "get-products", map[string]any{"limit": 1}); !strings.Contains(said, `"price":"4.50"`) {
		t.Errorf("the price has not changed: %s", said)
	}
	server.mustKnowNoToken(t, s)
}

// Claude Code starts the server by what the manual has for its .mcp.json, and finds that it works. That takes no model.
func TestClaudeCodeStartsTheManualsServer(t *testing.T) {
	t.Parallel()
	k := &kit{modules: process.NodeModules(t, modulesName)}
	s := newSite(t)
	text, err := os.ReadFile("../../../docs/using/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	_, fenced, _ := strings.Cut(string(text), "in `.mcp.json`:\n\n```json\n")
	fenced, _, _ = strings.Cut(fenced, "```\n")
	var settings struct {
		Servers map[string]*struct {
			Command string            `json:"command"`
			Args    []string          `json:"args"`
			Env     map[string]string `json:"env"`
		} `json:"mcpServers"`
	}
	if err := json.Unmarshal([]byte(fenced), &settings); err != nil || settings.Servers["shopify"] == nil {
		t.Fatalf("the manual has no .mcp.json with a server: %v", err)
	}
	ours := settings.Servers["shopify"].Env
	for _, e := range s.Environ { // what the manual leaves open, and where Shopify is
		name, value, _ := strings.Cut(e, "=")
		if name == "SHOPIFY_CLIENT_SECRET" {
			name, value = name+"_FILE", s.Write(t, "secret", value)
		}
		ours[name] = value
	}
	written, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	project, home := k.checkout(t), t.TempDir()
	for path, content := range map[string]string{
		filepath.Join(project, ".mcp.json"):  string(written),
		filepath.Join(home, "settings.json"): `{"enabledMcpjsonServers":["shopify"]}`, // it asks a person otherwise
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := process.Command(t, filepath.Join(k.modules, "@anthropic-ai/claude-code-linux-x64/claude"),
		[]string{k.path(), "CLAUDE_CONFIG_DIR=" + home, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1"}, "mcp", "list")
	cmd.Dir = project
	p := process.Start(t, cmd)
	if code := p.ExitWithin(t, 2*process.Patience); code != 0 || !strings.Contains(p.Out.String(), "Connected") {
		t.Errorf("exit code %d: %s", code, p.Out.String())
	}
	if s.Stats().TokensMinted == 0 {
		t.Error("Evergate was not started")
	}
}

// checkout is a directory as people have it in which these packages are installed.
func (k *kit) checkout(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Symlink(k.modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// path is where npx finds a Node that reads the proxy, and Claude Code finds Evergate.
func (k *kit) path() string {
	return strings.Join([]string{"PATH=" + filepath.Dir(k.interpreter(node22)[0]), filepath.Dir(binary), os.Getenv("PATH")}, ":")
}

// mcpServer is one that runs.
type mcpServer struct {
	*process.Process
	stdin io.Writer
	calls int
}

// startMCP starts one as the manual says, with flags of run.
func (k *kit) startMCP(t *testing.T, s *site, flags ...string) *mcpServer {
	t.Helper()
	cmd := process.Command(t, binary, append(slices.Clone(s.Environ), k.path()), slices.Concat([]string{"run"}, flags, []string{"--", "npx", "-y", "shopify-mcp"})...)
	cmd.Dir = k.checkout(t)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	server := &mcpServer{Process: process.Start(t, cmd), stdin: stdin}
	var is struct{ ServerInfo struct{ Name string } }
	server.call(t, "initialize", map[string]any{
		"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "evergate-test", "version": "1"},
	}, &is)
	if is.ServerInfo.Name != "shopify" {
		t.Fatalf("it is %q", is.ServerInfo.Name)
	}
	server.send(t, map[string]any{"method": "notifications/initialized"})
	return server
}

func (m *mcpServer) send(t *testing.T, message map[string]any) {
	t.Helper()
	message["jsonrpc"] = "2.0"
	line, err := json.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.stdin.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
}

// call makes a call of JSON-RPC and reads its result.
func (m *mcpServer) call(t *testing.T, method string, params, result any) {
	t.Helper()
	m.calls++
	m.send(t, map[string]any{"id": m.calls, "method": method, "params": params})
	var answer struct {
		ID     int
		Result json.RawMessage
		Error  json.RawMessage
	}
	m.AwaitTextWithin(t, &m.Out, "the answer to "+method, 2*process.Patience, func(text string) bool {
		for line := range strings.Lines(text) {
			if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &answer) == nil && answer.ID == m.calls {
				return true
			}
		}
		return false
	})
	if err := json.Unmarshal(answer.Result, result); err != nil {
		t.Fatalf("%s: %v: %s", method, err, answer.Error)
	}
}

// tool has one of its tools do something.
func (m *mcpServer) tool(t *testing.T, name string, arguments map[string]any) (said string, failed bool) {
	t.Helper()
	var result struct {
		Content []struct{ Text string }
		IsError bool
	}
	m.call(t, "tools/call", map[string]any{"name": name, "arguments": arguments}, &result)
	for _, c := range result.Content {
		said += c.Text
	}
	return said, result.IsError
}

// reprice is a change of a price, for what reads have found.
func (m *mcpServer) reprice(t *testing.T) map[string]any {
	t.Helper()
	said, _ := m.tool(t, "get-products", map[string]any{"limit": 1})
	var found struct {
		Products []struct {
			ID       string
			Variants []struct{ ID string }
		}
	}
	if err := json.Unmarshal([]byte(said), &found); err != nil || len(found.Products) == 0 {
		t.Fatalf("there are no products: %s", said)
	}
	p := found.Products[0]
	return map[string]any{"productId": p.ID, "variants": []any{map[string]any{"id": p.Variants[0].ID, "price": "4.50"}}}
}

// mustKnowNoToken looks for tokens and for the secret in the environment and the command line of what run has started, and in what that has said.
func (m *mcpServer) mustKnowNoToken(t *testing.T, s *site) {
	t.Helper()
	known := m.Out.String() + m.Err.String()
	for _, pid := range descendants(t, m.Cmd.Process.Pid) {
		for _, file := range []string{"environ", "cmdline"} {
			text, err := os.ReadFile(filepath.Join("/proc", pid, file))
			if err != nil {
				t.Fatal(err)
			}
			known += string(text)
		}
	}
	for what, sign := range map[string]string{"the server": "shopify-mcp", "its environment": "SHOPIFY_ACCESS_TOKEN=" + shopify.PlaceholderToken} {
		if !strings.Contains(known, sign) {
			t.Errorf("%s was not looked at", what)
		}
	}
	secrets := []string{shopsim.DefaultClientSecret}
	for _, e := range s.Journal() {
		if e.Token != "" {
			secrets = append(secrets, e.Token)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(known, secret) {
			t.Error("it knows a token or the secret")
		}
	}
}

// descendants are the processes that one has started, and those that these have started.
func descendants(t *testing.T, of int) (pids []string) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", of))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for _, pid := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(append(pids, pid), descendants(t, n)...)
		}
	}
	return pids
}
