package kubestore

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"evergate/internal/token"
)

// What our objects are called and known by. A label cannot hold every domain, an annotation can.
const (
	namePrefix     = "evergate-grant"
	recordKey      = "record"
	secretType     = "evergate/grant"
	managedBy      = "app.kubernetes.io/managed-by"
	recordLabel    = "evergate/record"
	shopAnnotation = "evergate/shop"
	selector       = managedBy + "=evergate," + recordLabel + "=grant"

	// longestHandle leaves room below the 253 characters of a name.
	longestHandle = 200
)

// nameOf is the name of a shop's Secret and Lease. A shop's handle that cannot be part of a name, because it is too long or
// ends with a hyphen, is replaced by its hash; after a dot, which no handle has, so that no two shops share a name.
func nameOf(shop token.Shop) string {
	handle := shop.Handle()
	if len(handle) <= longestHandle && !strings.HasSuffix(handle, "-") {
		return namePrefix + "-" + handle
	}
	sum := sha256.Sum256([]byte(handle))
	return namePrefix + "." + hex.EncodeToString(sum[:])
}

// shopOf says whose an object is. An annotation that does not fit the name says nothing.
func shopOf(m objectMeta) (token.Shop, bool) {
	shop, err := token.ParseShop(m.Annotations[shopAnnotation])
	if err != nil { // somebody has removed it
		handle, _ := strings.CutPrefix(m.Name, namePrefix+"-")
		shop, err = token.ParseShop(handle)
	}
	return shop, err == nil && nameOf(shop) == m.Name
}

// The types below are as much of the API's as is used.

type objectMeta struct {
	Name            string            `json:"name,omitempty"`
	UID             string            `json:"uid,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
}

func newMeta(shop token.Shop) objectMeta {
	return objectMeta{Name: nameOf(shop), Labels: map[string]string{managedBy: "evergate", recordLabel: "grant"}, Annotations: map[string]string{shopAnnotation: shop.Domain()}}
}

// handle names one state of one object: what is deleted and made again has another uid.
func (m objectMeta) handle() token.Handle { return token.Handle(m.UID + "." + m.ResourceVersion) }

// split is the reverse of handle; ok is false for what was never one.
func split(h token.Handle) (uid, version string, ok bool) {
	uid, version, ok = strings.Cut(string(h), ".")
	return uid, version, ok && uid != "" && version != ""
}

type object struct {
	Metadata objectMeta `json:"metadata"`
}

type secret struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Metadata   objectMeta        `json:"metadata"`
	Type       string            `json:"type,omitempty"`
	Data       map[string][]byte `json:"data"`
}

type listMeta struct {
	ResourceVersion string `json:"resourceVersion"`
	Continue        string `json:"continue"`
}

type secretList struct {
	Metadata listMeta `json:"metadata"`
	Items    []secret `json:"items"`
}

type lease struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   objectMeta `json:"metadata"`
	Spec       leaseSpec  `json:"spec"`
}

type leaseSpec struct {
	Holder  string `json:"holderIdentity"`
	Seconds int    `json:"leaseDurationSeconds"`
	Renewed string `json:"renewTime,omitempty"` // for people: nobody reckons with another machine's clock
}
