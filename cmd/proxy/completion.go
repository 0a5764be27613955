package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// printCompletion prints the script that makes a shell complete Evergate's commands and
// flags. It is made of the same table as the help.
func printCompletion() action {
	var shell string
	return action{arg: &shell, run: func(w env) error {
		shells := map[string]func([]synopsis) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
		script := shells[shell]
		if script == nil {
			return configError(errors.New("completion needs one of bash, zsh and fish"))
		}
		help := synopsis{name: "help", command: command{name: "help", summary: "list the commands"}}
		fmt.Fprint(w.out, script(append(synopses(), help)))
		return nil
	}}
}

// below are the commands directly under name; under nothing they are the first words.
func below(all []synopsis, name string) (list []synopsis) {
	for _, s := range all {
		rest, under := strings.CutPrefix(s.name, name+" ")
		if name == "" {
			rest, under = s.name, true
		}
		if under && !strings.Contains(rest, " ") {
			list = append(list, s)
		}
	}
	return list
}

// lastWord is a command's own name, without those above it.
func (s synopsis) lastWord() string { return s.name[strings.LastIndex(s.name, " ")+1:] }

// isFile reports whether a flag takes a path.
func (f option) isFile() bool { return strings.Contains(f.name, "file") }

// words are what can stand after a command.
func (s synopsis) words(all []synopsis) (list []string) {
	for _, b := range below(all, s.name) {
		list = append(list, b.lastWord())
	}
	for _, f := range s.flags {
		list = append(list, "--"+f.name)
	}
	return list
}

func bashCompletion(all []synopsis) string {
	var b strings.Builder
	b.WriteString(`# bash completion for evergate

_evergate() {
	local current=${COMP_WORDS[COMP_CWORD]} above="${COMP_WORDS[*]:1:COMP_CWORD-1}" words=
	case $above in
`)
	root := synopsis{}
	fmt.Fprintf(&b, "	'') words='%s' ;;\n", strings.Join(root.words(all), " "))
	for _, s := range slices.Backward(all) { // the longer name first
		switch {
		case s.takesCommand:
			fmt.Fprintf(&b, `	%s | '%[1]s -'*)
		if [[ $current == -* && "$above " != *' -- '* ]]; then
			words='%s'
		elif [[ $above == %[1]s || $above == *' --' ]]; then
			_evergate_reply < <(compgen -A command -A file -- "$current")
			return
		fi
		;;
`, s.name, strings.Join(s.words(all), " "))
		case len(s.words(all)) > 0:
			pattern := s.name
			if strings.Contains(pattern, " ") {
				pattern = "'" + pattern + "'"
			}
			more := pattern + "' '*"
			if strings.HasSuffix(pattern, "'") {
				more = strings.TrimSuffix(pattern, "'") + " '*"
			}
			fmt.Fprintf(&b, "	%s | %s) words='%s' ;;\n", pattern, more, strings.Join(s.words(all), " "))
		}
	}
	b.WriteString(`	esac
	_evergate_reply < <(compgen -W "$words" -- "$current")
}

_evergate_reply() { # without mapfile, which macOS's bash lacks
	local line
	COMPREPLY=()
	while IFS= read -r line; do COMPREPLY+=("$line"); done
}

# With what is not ours to know, such as the path after --ca-file, bash does as always.
complete -o default -F _evergate evergate
`)
	return b.String()
}

func zshCompletion(all []synopsis) string {
	var b strings.Builder
	b.WriteString("#compdef evergate\n\n")
	functions := func(name string) string { return "_evergate_" + strings.ReplaceAll(name, " ", "_") }
	for _, s := range all {
		if len(below(all, s.name)) > 0 || len(s.flags) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s() {\n	_arguments", functions(s.name))
		if s.takesCommand {
			b.WriteString(" -S '(-)1: :_command_names -e' '*:: :_normal'")
		}
		for _, f := range s.flags {
			value := ""
			if f.value != "" {
				value = ":" + f.value + ":"
			}
			if f.isFile() {
				value += "_files"
			}
			fmt.Fprintf(&b, " \\\n		%s", single("--"+f.name+"["+zshText(f.help)+"]"+value))
		}
		b.WriteString("\n}\n\n")
	}
	for _, s := range slices.Backward(append([]synopsis{{name: ""}}, all...)) {
		if len(below(all, s.name)) == 0 {
			continue
		}
		name := functions(s.name)
		if s.name == "" {
			name = "_evergate"
		}
		zshChoice(&b, all, s.name, name, functions)
	}
	b.WriteString("_evergate \"$@\"\n")
	return b.String()
}

// zshChoice writes the function that completes a command's first word and hands the rest on.
func zshChoice(b *strings.Builder, all []synopsis, above, name string, functions func(string) string) {
	fmt.Fprintf(b, "%s() {\n	local line state\n	local -a choices=(", name)
	for _, s := range below(all, above) {
		fmt.Fprintf(b, "\n		%s", single(s.lastWord()+":"+zshText(s.summary)))
	}
	b.WriteString("\n	)\n	_arguments -C '1: :->command' '*:: :->rest'\n	case $state in\n	command) _describe command choices ;;\n	rest)\n		case $line[1] in\n")
	for _, s := range below(all, above) {
		if len(below(all, s.name)) > 0 || len(s.flags) > 0 {
			fmt.Fprintf(b, "		%s) %s ;;\n", s.lastWord(), functions(s.name))
		}
	}
	b.WriteString("		esac\n		;;\n	esac\n}\n\n")
}

// zshText is free of what _arguments and _describe give a meaning to.
func zshText(s string) string { return strings.NewReplacer("[", "(", "]", ")", ":", `\:`).Replace(s) }

func fishCompletion(all []synopsis) string {
	var b strings.Builder
	b.WriteString("# fish completion for evergate\n\ncomplete -c evergate -f\n")
	for _, s := range all {
		first, second, two := strings.Cut(s.name, " ")
		condition := "__fish_use_subcommand"
		if two {
			condition = "__fish_seen_subcommand_from " + first + "; and not __fish_seen_subcommand_from " + strings.Join(synopsis{command: command{}, name: first}.words(all), " ")
		}
		fmt.Fprintf(&b, "complete -c evergate -n %s -a %s -d %s\n", single(condition), s.lastWord(), single(s.summary))
		if s.takesCommand {
			taking := " -" // a value, which is not the command; what begins with -- in the first place would be for fish
			for _, f := range s.flags {
				if f.value != "" {
					taking += " --" + f.name
				}
			}
			fmt.Fprintf(&b, "complete -c evergate -n %s -x -a '(__fish_complete_subcommand --fcs-skip=2%s)'\n", single("__fish_seen_subcommand_from "+first), taking)
		}
		for _, f := range s.flags {
			condition, takes := "__fish_seen_subcommand_from "+first, ""
			if two {
				condition += "; and __fish_seen_subcommand_from " + second
			}
			switch {
			case f.isFile():
				takes = " -r -F"
			case f.value != "":
				takes = " -x"
			}
			fmt.Fprintf(&b, "complete -c evergate -n %s -l %s%s -d %s\n", single(condition), f.name, takes, single(f.help))
		}
	}
	return b.String()
}

// single quotes a text for the three shells.
func single(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
