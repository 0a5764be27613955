package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// hideTyping has a console show nothing of what is typed from now on.
func hideTyping(console *os.File) error {
	var mode uint32
	if err := windows.GetConsoleMode(windows.Handle(console.Fd()), &mode); err != nil {
		return err
	}
	return windows.SetConsoleMode(windows.Handle(console.Fd()), mode&^windows.ENABLE_ECHO_INPUT)
}
