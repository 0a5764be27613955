package kubestore

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

// right is what the ServiceAccount has to be allowed.
type right struct {
	group, resource string
	verbs           []string
}

// rights are all of them; the chart's Role is made of the same.
var rights = []right{
	{"", "secrets", []string{"create", "get", "list", "patch", "watch"}},
	{"coordination.k8s.io", "leases", []string{"create", "delete", "get", "update"}},
}

// needed says all rights, for people.
func needed() string {
	var all []string
	for _, r := range rights {
		all = append(all, strings.Join(r.verbs, ", ")+" of "+r.resource)
	}
	return strings.Join(all, " and ")
}

// Check implements token.Backend: it asks the API server for each right, which changes nothing.
func (b *backend) Check(ctx context.Context) []token.Finding {
	var missing []right
	for _, r := range rights {
		lacks := right{group: r.group, resource: r.resource}
		for _, verb := range r.verbs {
			allowed, err := b.may(ctx, r, verb)
			if err != nil {
				text, do := remedy.Split(err)
				return []token.Finding{{Loses: true, Text: "the grants cannot be reached: " + text, Do: do}}
			}
			if !allowed {
				lacks.verbs = append(lacks.verbs, verb)
			}
		}
		if len(lacks.verbs) > 0 {
			missing = append(missing, lacks)
		}
	}
	if len(missing) > 0 {
		return []token.Finding{{Loses: true, Text: b.lack(missing), Do: b.role()}}
	}
	// The rights say nothing about whether there is a namespace.
	var page object
	if err := b.client.do(ctx, call{method: http.MethodGet, path: b.secrets(""), query: listQuery("", 1), metadataOnly: true}, &page); err != nil {
		text, do := remedy.Split(err)
		return []token.Finding{{Loses: true, Text: "the grants cannot be listed: " + text, Do: do}}
	}
	return nil
}

func (b *backend) lack(missing []right) string {
	var all []string
	for _, r := range missing {
		all = append(all, strings.Join(r.verbs, ", ")+" of "+r.resource)
	}
	return fmt.Sprintf("the ServiceAccount lacks rights in the namespace %s: %s", b.namespace, strings.Join(all, " and "))
}

// role is a command that a person can run who may.
func (b *backend) role() string {
	lines := []string{"have it bound to this Role, with kubectl apply:", "apiVersion: rbac.authorization.k8s.io/v1", "kind: Role",
		"metadata: {name: evergate-grants, namespace: " + b.namespace + "}", "rules:"}
	for _, r := range rights {
		lines = append(lines, fmt.Sprintf("  - {apiGroups: [%q], resources: [%s], verbs: [%s]}", r.group, r.resource, strings.Join(r.verbs, ", ")))
	}
	return strings.Join(lines, "\n")
}

func (b *backend) may(ctx context.Context, r right, verb string) (bool, error) {
	var review struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			Attributes attributes `json:"resourceAttributes"`
		} `json:"spec"`
		Status struct {
			Allowed bool `json:"allowed"`
		} `json:"status,omitzero"`
	}
	review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
	review.Spec.Attributes = attributes{Namespace: b.namespace, Group: r.group, Resource: r.resource, Verb: verb}
	err := b.client.do(ctx, call{method: http.MethodPost, path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body: review}, &review)
	return review.Status.Allowed, err
}

type attributes struct {
	Namespace string `json:"namespace"`
	Group     string `json:"group"`
	Resource  string `json:"resource"`
	Verb      string `json:"verb"`
}
