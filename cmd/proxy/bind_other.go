//go:build !linux

package main

import "os/exec"

// bindToLife does nothing where the system cannot end a command when its parent is killed.
func bindToLife(*exec.Cmd) {}
