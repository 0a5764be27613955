package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"evergate/internal/config"
)

// withEnvFiles gives a command that reads settings the flag for files of them.
func (c command) withEnvFiles(a action, files *[]string) action {
	if c.withoutSettings {
		return a
	}
	own := a.flags
	a.flags = func(fs *flag.FlagSet) {
		if own != nil {
			own(fs)
		}
		fs.Func("env-file", "read settings from a `file` of NAME=value lines, too; the environment goes before it, and it may be given again", func(path string) error {
			*files = append(*files, path)
			return nil
		})
	}
	return a
}

// addEnvFiles is the environment with what the files say. The last that names a setting counts, and the environment before
// all, where it has more than an empty value. NAME and NAME_FILE are one setting.
func (w env) addEnvFiles(files []string) ([]string, error) {
	if len(files) == 0 {
		return w.environ, nil
	}
	environ := slices.DeleteFunc(slices.Clone(w.environ), func(entry string) bool { return strings.HasSuffix(entry, "=") && strings.Count(entry, "=") == 1 })
	var errs []error
	for _, path := range slices.Backward(files) {
		more, warning, err := config.ReadEnvFile(path)
		if warning != nil {
			fmt.Fprintln(w.err, "evergate: warning:", warning)
		}
		environ, errs = append(config.Beneath(environ, more), environ...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, configError(err)
	}
	return environ, nil
}

// evergate is how the program is started, as the next step, with the files of settings that this command was given.
func (w env) evergate() string {
	start := "evergate"
	for _, file := range w.envFiles {
		start += " --env-file " + shellWord(file)
	}
	return start
}

// leadingEnvFiles takes the files off that stand before the command.
func leadingEnvFiles(args []string) (rest, files []string) {
	for len(args) > 0 {
		name, path, given := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
		switch {
		case name != "env-file" || args[0][0] != '-':
			return args, files
		case given:
			args = args[1:]
		case len(args) > 1:
			path, args = args[1], args[2:]
		default:
			return args, files // package flag says what is missing
		}
		files = append(files, path)
	}
	return args, files
}
