package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"evergate/internal/remedy"
)

const proxySetting = "EVERGATE_UPSTREAM_PROXY"

// checkProxy reads the way out. What is set for Evergate alone is used whatever NO_PROXY
// says, because whoever sets it means this upstream; what the environment sets for every program
// follows the rules of Go's net/http, so that localhost is never reached through it.
func (c *Config) checkProxy(vars map[string]string) error {
	if !c.UpstreamProxy.Empty() {
		_, err := parseProxy(proxySetting, c.UpstreamProxy.Reveal())
		return err
	}
	if c.files[proxySetting] != "" || c.Base == nil || c.Base.Scheme != "https" {
		return nil
	}
	name := "HTTPS_PROXY"
	if vars[name] == "" {
		name = "https_proxy"
	}
	exempt := vars["NO_PROXY"]
	if exempt == "" {
		exempt = vars["no_proxy"]
	}
	value := strings.TrimSpace(vars[name])
	if isExempt(exempt, c.Base) {
		return nil
	}
	if value == "" {
		for _, other := range []string{"ALL_PROXY", "all_proxy"} {
			if vars[other] != "" {
				c.Warnings = append(c.Warnings, remedy.New("set HTTPS_PROXY or "+proxySetting+" if there is no direct way to Shopify, or NO_PROXY="+c.exempt()+" if there is", "%s is set, which Evergate does not use", other))
				break
			}
		}
		return nil
	}
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := parseProxy(name, value)
	if err == nil && leadsBack(u, vars[URLVariable]) {
		c.Warnings = append(c.Warnings, remedy.New("unset it, or name the way out with "+proxySetting, "%s is the Evergate of %s, which is for tools: it is not taken as the way to Shopify", name, URLVariable))
		return nil
	}
	if err != nil {
		wrong, do := remedy.Split(err)
		return remedy.New(fmt.Sprintf("%s; or set NO_PROXY=%s if there is a direct way", do, c.exempt()), "%s", wrong)
	}
	c.environProxy, c.environName = u, name
	return nil
}

// exempt is what NO_PROXY has to name.
func (c *Config) exempt() string {
	if c.Shop.IsZero() && c.BaseByShop() {
		return strings.TrimPrefix(c.Base.Hostname(), anyShop().Handle()) // .myshopify.com
	}
	return c.Base.Hostname()
}

// leadsBack reports whether a proxy is the sidecar whose address for tools is given: whoever has taken the
// environment of `evergate env` and starts Evergate in it would have it call itself.
func leadsBack(proxy *url.URL, tools string) bool {
	u, err := url.Parse(tools)
	return err == nil && u.Host != "" && u.Host == proxy.Host
}

// Proxy returns the forward proxy to reach the upstream through, as it is now, and the setting
// that names it; nil if there is none.
func (c *Config) Proxy() (u *url.URL, setting string, err error) {
	if !c.HasProxy() {
		return nil, "", nil
	}
	if c.environProxy != nil {
		return c.environProxy, c.environName, nil
	}
	value, err := c.current(proxySetting, c.UpstreamProxy)
	if err != nil {
		return nil, "", err
	}
	u, err = parseProxy(proxySetting, value.Reveal())
	return u, proxySetting, err
}

// HasProxy reports whether the way leads through a proxy.
func (c *Config) HasProxy() bool {
	return c.environProxy != nil || !c.UpstreamProxy.Empty() || c.files[proxySetting] != ""
}

// parseProxy reads a proxy's address. Its errors repeat nothing of it but the scheme.
func parseProxy(name, value string) (*url.URL, error) {
	const form = "write for example http://proxy.internal:3128, or http://USER:PASSWORD@proxy.internal:3128"
	u, err := url.Parse(value)
	if err != nil {
		return nil, remedy.New(fmt.Sprintf("%s; special characters in user and password are written as %%XX", form), "%s cannot be read as a URL", name)
	}
	u.Scheme = strings.TrimSuffix(strings.ToLower(u.Scheme), "h") // socks5h is what socks5 is here
	switch {
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" || u.Opaque != "":
		return nil, remedy.New(form, "%s is not an http, https or socks5 URL", name)
	case u.Hostname() == "":
		return nil, remedy.New(form, "%s names no host", name)
	case !isPort(u):
		return nil, remedy.New("write one from 1 to 65535", "%s has a port that there is not", name)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, remedy.New(fmt.Sprintf("give scheme, user, host and port only; %s", form), "%s has a path", name)
	case u.User != nil && strings.ContainsAny(u.User.Username(), ":\r\n\x00") && u.Scheme != "socks5":
		return nil, remedy.New("a user name cannot hold a colon or a line break", "%s", name)
	}
	if u.Scheme == "socks5" && u.User != nil {
		password, _ := u.User.Password()
		if n := len(u.User.Username()); n == 0 || n > 255 || len(password) == 0 || len(password) > 255 {
			return nil, remedy.New("SOCKS5 takes a user and a password of 1 to 255 bytes each", "%s", name)
		}
	}
	return &url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}, nil
}

// isPort reports whether the port of a URL, if there is one, can be dialled.
func isPort(u *url.URL) bool {
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return u.Port() == "" || err == nil && n > 0
}

// isExempt reports whether NO_PROXY, or what is always so, exempts an address from the
// environment's proxy. The rules are net/http's: "*" is everything; a name is also its
// sub-domains, with a dot in front only these; addresses, networks and ports are possible.
func isExempt(list string, to *url.URL) bool {
	host, port := strings.ToLower(strings.TrimSuffix(to.Hostname(), ".")), to.Port()
	if port == "" {
		port = "443"
	}
	ip, err := netip.ParseAddr(host)
	isIP := err == nil
	ip = ip.Unmap()
	if host == "localhost" || isIP && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(strings.Split(list, ","), func(entry string) bool {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry == "*" {
			return true
		}
		if network, err := netip.ParsePrefix(entry); err == nil {
			return isIP && network.Contains(ip)
		}
		if h, p, err := net.SplitHostPort(entry); err == nil {
			if p != port {
				return false
			}
			entry = h
		}
		if address, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
			return isIP && address.Unmap() == ip
		}
		entry = strings.TrimPrefix(entry, "*")
		if domain := strings.TrimPrefix(entry, "."); domain == "" || isIP {
			return false
		} else if domain == host {
			return entry == domain
		}
		return strings.HasSuffix(host, "."+strings.TrimPrefix(entry, "."))
	})
}
