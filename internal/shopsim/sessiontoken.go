package shopsim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SessionClaims are the claims of a session token (also called ID token), the
// JWT by which an embedded app knows who is looking at it.
type SessionClaims struct {
	Issuer      string  `json:"iss"`  // https://{shop}/admin
	Destination string  `json:"dest"` // https://{shop}
	Audience    string  `json:"aud"`  // the client id
	Subject     string  `json:"sub"`  // the user's id
	Expires     float64 `json:"exp"`
	NotBefore   float64 `json:"nbf"`
	IssuedAt    float64 `json:"iat"`
	ID          string  `json:"jti"`
	Session     string  `json:"sid"`
}

// sessionLife is how long App Bridge's session tokens last.
const sessionLife = time.Minute

// SessionToken makes a session token that the exchange grant accepts for a
// minute, signed with the app's oldest client secret. Edits may spoil it.
func (s *Sim) SessionToken(shopName, clientID string, edits ...func(*SessionClaims)) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, sh, now := s.mustApp(clientID), s.mustShop(shopName), time.Now()
	c := SessionClaims{
		Issuer:      "https://" + sh.domain + "/admin",
		Destination: "https://" + sh.domain,
		Audience:    a.id,
		Subject:     strconv.Itoa(ownerID),
		Expires:     float64(now.Add(sessionLife).Unix()),
		NotBefore:   float64(now.Unix()),
		IssuedAt:    float64(now.Unix()),
		ID:          s.state.randomHex(),
		Session:     s.state.randomHex(),
	}
	for _, edit := range edits {
		edit(&c)
	}
	return c.signed(a.secrets[0])
}

func (c SessionClaims) signed(secret string) string {
	payload, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("shopsim: encode session token: %v", err)) // only by an edit that makes a time infinite
	}
	message := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(payload)
	return message + "." + base64.RawURLEncoding.EncodeToString(mac(secret, message))
}

func mac(secret, message string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(message))
	return h.Sum(nil)
}

// parseSessionToken reads a JWT signed by HS256 with one of the secrets.
func parseSessionToken(jwt string, secrets []string) (SessionClaims, error) {
	var c SessionClaims
	var header struct {
		Algorithm string `json:"alg"`
	}
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return c, errors.New("not a JWT")
	}
	if err := decodeJWTPart(parts[0], &header); err != nil || header.Algorithm != "HS256" {
		return c, errors.New("the algorithm is not HS256")
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || !slices.ContainsFunc(secrets, func(secret string) bool {
		return hmac.Equal(signature, mac(secret, parts[0]+"."+parts[1]))
	}) {
		return c, errors.New("the signature does not match")
	}
	if err := decodeJWTPart(parts[1], &c); err != nil {
		return c, errors.New("the claims could not be read")
	}
	return c, nil
}

func decodeJWTPart(part string, v any) error {
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// check compares the claims with the request that they came in.
func (c SessionClaims) check(clientID, domain string, now time.Time) error {
	t := float64(now.UnixNano()) / float64(time.Second)
	switch {
	case c.Audience != clientID:
		return errors.New("aud is another app")
	case c.Destination != "https://"+domain:
		return errors.New("dest is another shop")
	case c.Issuer != c.Destination+"/admin":
		return errors.New("iss does not belong to dest")
	case t >= c.Expires:
		return errors.New("it has expired")
	case t < c.NotBefore:
		return errors.New("it is not valid yet")
	}
	return nil
}
