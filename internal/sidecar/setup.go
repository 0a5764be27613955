package sidecar

import (
	"os"
	"os/exec"
	"path/filepath"

	"evergate/internal/admin"
	"evergate/internal/login"
)

// setup is what advice has to know so that it can be followed here.
func (s *Sidecar) setup(build Build, getenv func(string) string) admin.Setup {
	o := admin.Setup{Supervisor: supervisor(getenv), File: s.cfg.File, Command: filepath.Base(build.Program)}
	switch {
	case build.Program == "":
		o.Command = ""
	case o.Supervisor == admin.SupervisorKubernetes && getenv("HOSTNAME") != "":
		o.Command = "kubectl exec --stdin --tty " + getenv("HOSTNAME") + " -- " + build.Program
	case o.Supervisor == admin.SupervisorSystemd:
		if path, err := exec.LookPath("evergate-exec"); err == nil {
			o.Command = filepath.Base(path) // with the unit's settings, secrets and store
		}
	}
	if o.ShopsFile = s.cfg.ShopsFile; o.ShopsFile != "" && s.cfg.ShopName != "" {
		o.OwnShop = s.cfg.Shop.Domain()
	}
	if host := s.cfg.Base.Hostname(); s.shop != nil && host != s.cfg.Shop.Domain() {
		o.Upstream = s.cfg.Base.Host
	}
	if s.cfg.Public != nil && s.shop != nil && s.shop.login != nil {
		o.LoginURL = s.cfg.Public.JoinPath(login.StartPath).String()
	}
	return o
}

// supervisor tells who has started this process by what Kubernetes, container engines and systemd give to those that
// they start.
func supervisor(getenv func(string) string) admin.Supervisor {
	switch {
	case getenv("KUBERNETES_SERVICE_HOST") != "":
		return admin.SupervisorKubernetes
	case getenv("container") != "" || exists("/.dockerenv") || exists("/run/.containerenv"):
		return admin.SupervisorContainer
	case getenv("NOTIFY_SOCKET") != "", getenv("INVOCATION_ID") != "" && os.Getppid() == 1: // shells of a desktop have the second, too
		return admin.SupervisorSystemd
	}
	return admin.SupervisorUnknown
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
