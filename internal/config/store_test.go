package config

import (
	"bytes"
	"strings"
	"testing"
)

const sharedKey = "EVERGATE_STORE_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func TestAStoreThatReplicasShareIsEncrypted(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"redis://h", "rediss://h:1/2?master_set=m", "postgres://h/d", "postgresql://h/d", "kubernetes:shops", "kubernetes:"} {
		_, err := Load(minimal("EVERGATE_STORE=" + spec))
		if err == nil || !strings.Contains(err.Error(), "EVERGATE_STORE_KEY is not set") {
			t.Errorf("%s: %v", spec, err)
		}
		if c := mustLoad(t, minimal("EVERGATE_STORE="+spec, sharedKey)); c.Store != spec {
			t.Errorf("%s: %s", spec, c.Store)
		}
	}
	mustLoad(t, minimal("EVERGATE_STORE=file:/srv/evergate"))
}

func TestThePasswordOfAStoreIsNotPrinted(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"redis://u:hunter2@h", "redis://:hunter2@h?prefix=x", "redis://h?master_set=m&sentinel_password=hunter2&db=1", "postgres://u:hunter2@h/d?a=b"} {
		c := mustLoad(t, minimal("EVERGATE_STORE="+spec, sharedKey))
		var out bytes.Buffer
		if err := Print(&out, c.Values(false), 200, false); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "[redacted]") {
			t.Errorf("%s:\n%s", spec, out.String())
		}
		_, err := Load(minimal("EVERGATE_STORE="+spec, sharedKey, "EVERGATE_STOR="+spec))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
