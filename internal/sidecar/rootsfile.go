package sidecar

import (
	"bytes"

	"evergate/internal/clientenv"
	"evergate/internal/config"
	"evergate/internal/durable"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
)

// rootsMode lets every user read what everybody may know.
const rootsMode = 0o644

// largestRoots bounds in bytes what is read of a system's certificates, which are a quarter of a megabyte.
const largestRoots = 4 << 20

// writeRoots writes what clients have to trust, for those who share no more with us than a directory.
func (s *Sidecar) writeRoots() error {
	var text []byte
	for _, path := range clientenv.SystemFiles() {
		if system, err := readfile.Read(path, largestRoots); err == nil {
			text = append(bytes.TrimRight(system, "\n"), '\n')
			break
		}
	}
	roots, err := s.ca.Roots()
	if err != nil {
		return err
	}
	if err := durable.WriteMode(s.cfg.CAFile, ".ca-*", append(text, roots...), rootsMode); err != nil {
		return config.Wrong(remedy.New("name a file in a directory that Evergate may write to", "EVERGATE_CA_FILE: %w", err))
	}
	return nil
}
