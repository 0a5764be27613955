package shopsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// faultWire is Fault in the control API. ExpiresIn may be written as the JSON
// value itself; "omit" means that the member is to be missing.
type faultWire struct {
	Kind           Kind            `json:"kind"`
	Endpoint       Endpoint        `json:"endpoint,omitempty"`
	Grant          Grant           `json:"grant,omitempty"`
	Method         string          `json:"method,omitempty"`
	Shop           string          `json:"shop,omitempty"`
	Count          int             `json:"count,omitempty"`
	Skip           int             `json:"skip,omitempty"`
	Probability    float64         `json:"probability,omitempty"`
	AfterCommit    bool            `json:"after_commit,omitempty"`
	Delay          seconds         `json:"delay,omitempty"`
	Status         int             `json:"status,omitempty"`
	Body           string          `json:"body,omitempty"`
	ContentType    string          `json:"content_type,omitempty"`
	RetryAfter     string          `json:"retry_after,omitempty"`
	RetryAfterDate seconds         `json:"retry_after_date,omitempty"`
	Location       string          `json:"location,omitempty"`
	Chunks         int             `json:"chunks,omitempty"`
	Pause          seconds         `json:"pause,omitempty"`
	ContentLength  bool            `json:"content_length,omitempty"`
	ExpiresIn      json.RawMessage `json:"expires_in,omitempty"`
}

func wireFault(f Fault) faultWire {
	return faultWire{f.Kind, f.Endpoint, f.Grant, f.Method, f.Shop, f.Count, f.Skip, f.Probability, f.AfterCommit,
		seconds(f.Delay), f.Status, f.Body, f.ContentType, f.RetryAfter, seconds(f.RetryAfterDate), f.Location,
		f.Chunks, seconds(f.Pause), f.ContentLength, json.RawMessage(f.ExpiresIn)}
}

func (w faultWire) fault() Fault {
	if bytes.Equal(w.ExpiresIn, []byte(`"omit"`)) {
		w.ExpiresIn = nil
	}
	return Fault{w.Kind, w.Endpoint, w.Grant, w.Method, w.Shop, w.Count, w.Skip, w.Probability, w.AfterCommit,
		time.Duration(w.Delay), w.Status, w.Body, w.ContentType, w.RetryAfter, time.Duration(w.RetryAfterDate), w.Location,
		w.Chunks, time.Duration(w.Pause), w.ContentLength, string(w.ExpiresIn)}
}

func (s *Sim) injectFault(w faultWire) (any, error) {
	f := w.fault()
	if err := f.Validate(); err != nil {
		return nil, err
	}
	id, err := s.arm(f)
	if err != nil {
		return nil, err
	}
	return map[string]int{"id": id}, nil
}

func (s *Sim) controlFaults(w http.ResponseWriter, _ *http.Request) {
	type view struct {
		ID   int    `json:"id"`
		Hits int    `json:"hits"`
		Left string `json:"left"`
		faultWire
	}
	list := []view{}
	s.mu.Lock()
	for _, a := range s.state.faults {
		left := "until cleared"
		if a.left >= 0 {
			left = strconv.Itoa(a.left)
		}
		list = append(list, view{a.id, a.hits, left, wireFault(a.Fault)})
	}
	s.mu.Unlock()
	writeControl(w, http.StatusOK, map[string]any{"faults": list})
}

// shopWire changes a shop; members that are not given stay.
type shopWire struct {
	Shop              string     `json:"shop"`
	Condition         *Condition `json:"condition"`
	OtherOrganization *bool      `json:"other_organization"`
}

func (s *Sim) changeShop(in shopWire) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, err := s.findShop(in.Shop)
	if err != nil {
		return nil, err
	}
	if in.Condition != nil {
		if err := in.Condition.Validate(); err != nil {
			return nil, err
		}
		sh.condition = *in.Condition
	}
	if in.OtherOrganization != nil {
		sh.otherOrg = *in.OtherOrganization
	}
	return map[string]any{"shop": sh.domain, "condition": sh.condition, "other_organization": sh.otherOrg}, nil
}

// installationWire names an app on a shop; both default to the first.
type installationWire struct {
	Shop     string `json:"shop"`
	ClientID string `json:"client_id"`
}

// known keeps requests from reaching methods that panic on unknown names.
func (s *Sim) known(shopName, clientID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.findShop(shopName); err != nil {
		return err
	}
	_, err := s.findApp(clientID)
	return err
}

func (s *Sim) onInstallation(act func(shopName, clientID string)) func(installationWire) (any, error) {
	return func(in installationWire) (any, error) {
		if err := s.known(in.Shop, in.ClientID); err != nil {
			return nil, err
		}
		act(in.Shop, in.ClientID)
		return nil, nil
	}
}

type scopesWire struct {
	ClientID string `json:"client_id"`
	Scopes   string `json:"scopes"`
}

func (s *Sim) changeScopes(in scopesWire) (any, error) {
	if err := s.known("", in.ClientID); err != nil {
		return nil, err
	}
	s.SetScopes(in.ClientID, in.Scopes)
	return nil, nil
}

type secretWire struct {
	ClientID  string `json:"client_id"`
	Secret    string `json:"secret"`
	RevokeOld bool   `json:"revoke_old"`
}

// changeSecret shows the new secret only if the caller does not know it already.
func (s *Sim) changeSecret(in secretWire) (any, error) {
	if err := s.known("", in.ClientID); err != nil {
		return nil, err
	}
	secret := s.RotateSecret(in.ClientID, in.Secret, in.RevokeOld)
	if in.Secret != "" {
		return nil, nil
	}
	return map[string]string{"client_secret": secret}, nil
}

type issueWire struct {
	installationWire
	Life seconds `json:"life"`
}

func (s *Sim) issueToken(in issueWire) (any, error) {
	if err := s.known(in.Shop, in.ClientID); err != nil {
		return nil, err
	}
	return map[string]string{"access_token": s.IssueToken(in.Shop, in.ClientID, time.Duration(in.Life))}, nil
}

type revokeWire struct {
	Token string `json:"token"`
}

func (s *Sim) revokeTokens(in revokeWire) (any, error) {
	return map[string]int{"ended": s.RevokeTokens(in.Token)}, nil
}
