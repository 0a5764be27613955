//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// The configurations are what somebody would write who wants the token added and nothing else: connections to the
// upstream are kept alive, its certificate is verified, bodies are not spooled to a disk, nothing is logged. One worker.

const nginxConfig = `worker_processes 1;
%[6]sdaemon off;
pid nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  keepalive_timeout 10m;
  upstream shop { server %[2]s; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen %[1]s backlog=4096;
    location / {
      proxy_pass https://shop;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host %[3]s;
      proxy_set_header X-Shopify-Access-Token %[4]s;
      proxy_request_buffering off;
      proxy_ssl_server_name on;
      proxy_ssl_name %[3]s;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate %[5]s;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
    }
  }
}
`

const haproxyConfig = `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 10s
  timeout client 10m
  timeout server 130s
  timeout http-keep-alive 10m
frontend tools
  bind %[1]s backlog 4096
  default_backend shop
backend shop
  http-reuse always
  http-request set-header Host %[3]s
  http-request set-header X-Shopify-Access-Token %[4]s
  server shop %[2]s ssl verify required ca-file %[5]s sni str(%[3]s) verifyhost %[3]s pool-max-conn 256
`

const caddyConfig = `{
  admin off
  auto_https off
  persist_config off
  log default {
    level ERROR
  }
}
http://:%[6]s {
  bind 127.0.0.1
  reverse_proxy https://%[2]s {
    header_up Host %[3]s
    header_up X-Shopify-Access-Token %[4]s
    transport http {
      versions 1.1
      compression off
      keepalive_idle_conns_per_host 256
      tls_server_name %[3]s
      tls_trust_pool file %[5]s
    }
  }
}
`

var versionNumber = regexp.MustCompile(`\d+\.\d+\.\d+\S*`)

// others are the peers that scripts/install-bench-peers has put here; what is missing is said.
func (r *rig) others() (peers []*peer) {
	for _, kind := range []struct {
		name, program, version string
		make                   func(program string) *peer
	}{{nginxName, "nginx", "-v", nginx}, {haproxyName, "haproxy", "-v", haproxy}, {caddyName, "caddy", "", caddy}} {
		program, err := filepath.Abs(filepath.Join("bin/peers", kind.program))
		if err == nil {
			_, err = os.Stat(program)
		}
		if err != nil {
			r.logWriter("%s is left out: %v", kind.name, err)
			continue
		}
		p := kind.make(program)
		p.name, p.program = kind.name, program
		if kind.version == "" {
			p.version = moduleVersion(program)
		} else {
			both, _ := exec.Command(program, kind.version).CombinedOutput() // both: nginx says its version on standard error
			p.version = versionNumber.FindString(string(both))
		}
		peers = append(peers, p)
	}
	return peers
}

func nginx(program string) *peer {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // or its worker could not write into our directory
	}
	return &peer{config: nginxConfig, start: func(p place) (*process, error) {
		file, err := p.write("nginx.conf", fmt.Sprintf(nginxConfig, p.listen, p.upstream, shop, benchToken, p.ca, user))
		if err != nil {
			return nil, err
		}
		return launch(proxyCore(), nil, program, "-p", p.dir, "-c", file, "-e", "stderr")
	}}
}

func haproxy(program string) *peer {
	return &peer{config: haproxyConfig, shares: true, start: func(p place) (*process, error) {
		file, err := p.write("haproxy.cfg", fmt.Sprintf(haproxyConfig, p.listen, p.upstream, shop, benchToken, p.ca))
		if err != nil {
			return nil, err
		}
		return launch(proxyCore(), nil, program, "-db", "-f", file)
	}}
}

func caddy(program string) *peer {
	return &peer{config: caddyConfig, start: func(p place) (*process, error) {
		port := p.listen[strings.LastIndexByte(p.listen, ':')+1:]
		file, err := p.write("Caddyfile", fmt.Sprintf(caddyConfig, p.listen, p.upstream, shop, benchToken, p.ca, port))
		if err != nil {
			return nil, err
		}
		return launch(proxyCore(), []string{"HOME=" + p.dir, "XDG_DATA_HOME=" + p.dir, "XDG_CONFIG_HOME=" + p.dir}, program, "run", "--config", file, "--adapter", "caddyfile")
	}}
}

// limit is the relay of this program.
func limit(self string) *peer {
	return &peer{name: relayName, version: "with " + goVersion(self), program: self, start: func(p place) (*process, error) {
		return launch(proxyCore(), nil, self, "-serve", "relay", p.listen, p.upstream, p.ca)
	}}
}

func (p place) write(name, text string) (string, error) {
	file := filepath.Join(p.dir, name)
	return file, os.WriteFile(file, []byte(text), 0o600)
}
