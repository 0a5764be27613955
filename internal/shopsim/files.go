package shopsim

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"
)

// stagedFile is a file beside the API: one that a client uploads for a bulk mutation, or the result of a bulk
// operation. Neither takes a token: whoever knows the path may have it.
type stagedFile struct {
	path string
	at   time.Time
	body []byte // nil: it has not been uploaded yet
}

const (
	stagedPath = "staged-uploads"
	resultPath = "bulk-results"
	maxFiles   = 100 // at so many, the oldest is forgotten
)

// stage makes room for a file.
func (s *Sim) stage(q *request, path string) *stagedFile {
	if len(s.state.files) >= maxFiles {
		oldest := &stagedFile{at: q.now.Add(day)}
		for _, f := range s.state.files {
			if f.at.Before(oldest.at) {
				oldest = f
			}
		}
		delete(s.state.files, oldest.path)
	}
	f := &stagedFile{path: path, at: q.now}
	s.state.files[path] = f
	return f
}

// stagedTarget is where to upload a file, and with which parameters.
type stagedTarget struct {
	url        string
	parameters [][2]string
}

func stagedUploadsCreate(r *gqlRun, _ any, args map[string]any) any {
	var out []stagedTarget
	for _, raw := range args["input"].([]any) {
		input := raw.(map[string]any)
		name := strings.NewReplacer("/", "_", "\\", "_").Replace(input["filename"].(string))
		key := fmt.Sprintf("tmp/%d/bulk/%s/%s", r.q.shop.id, r.sim.state.randomHex(), name)
		r.sim.stage(r.q, stagedPath+"/"+key)
		out = append(out, stagedTarget{r.q.address() + "/" + stagedPath + "/", [][2]string{
			{"key", key}, {"Content-Type", input["mimeType"].(string)}, {"success_action_status", "201"}, {"acl", "private"},
		}})
	}
	return out
}

// serveFile takes an upload, or hands out a result.
func (s *Sim) serveFile(q *request) *response {
	path := strings.Trim(q.URL.Path, "/")
	if path == stagedPath {
		if q.Method != http.MethodPost {
			return methodNotAllowed(http.MethodPost)
		}
		return s.upload(q)
	}
	for _, sh := range s.state.shops {
		s.runBulk(sh, q.now)
	}
	f := s.state.files[path]
	switch {
	case f == nil || !strings.HasPrefix(path, resultPath) || q.now.Sub(f.at) > bulkResultLife:
		return storageError(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	case !isRead(q.Method):
		return methodNotAllowed(http.MethodGet)
	}
	resp := newResponse(http.StatusOK, "application/jsonl", f.body)
	resp.header.Set("Content-Disposition", "attachment; filename=\""+path[strings.LastIndex(path, "/")+1:]+"\"")
	return resp
}

// upload reads a form as browsers send it: the parameters first, the file last.
func (s *Sim) upload(q *request) *response {
	_, params, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return storageError(http.StatusBadRequest, "InvalidArgument", "Send multipart/form-data.")
	}
	fields := map[string][]byte{}
	for form := multipart.NewReader(bytes.NewReader(q.body), params["boundary"]); ; {
		part, err := form.NextPart()
		if err == io.EOF { //nolint:errorlint // what is cut short ends with a wrapped one
			break
		}
		if err != nil {
			return storageError(http.StatusBadRequest, "MalformedPOSTRequest", "The body is not well-formed multipart/form-data.")
		}
		if fields[part.FormName()], err = io.ReadAll(part); err != nil {
			return storageError(http.StatusBadRequest, "MalformedPOSTRequest", "The body is not well-formed multipart/form-data.")
		}
	}
	key := string(fields["key"])
	f := s.state.files[stagedPath+"/"+key]
	switch body, given := fields["file"]; {
	case !given:
		return storageError(http.StatusBadRequest, "InvalidArgument", "POST requires exactly one file upload per request.")
	case f == nil:
		return storageError(http.StatusForbidden, "AccessDenied", "The key is not one that stagedUploadsCreate gave out.")
	default:
		f.body = append([]byte{}, body...)
	}
	return newResponse(http.StatusCreated, "application/xml; charset=UTF-8", fmt.Appendf(nil,
		"<?xml version='1.0' encoding='UTF-8'?><PostResponse><Location>%s</Location><Key>%s</Key></PostResponse>",
		html.EscapeString(q.address()+"/"+f.path), html.EscapeString(key)))
}

// storageError is a failure as the storage words it that Shopify keeps such files in.
func storageError(status int, code, message string) *response {
	return newResponse(status, "application/xml; charset=UTF-8",
		fmt.Appendf(nil, "<?xml version='1.0' encoding='UTF-8'?><Error><Code>%s</Code><Message>%s</Message></Error>", code, html.EscapeString(message)))
}
