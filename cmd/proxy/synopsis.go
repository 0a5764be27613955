package main

import (
	"flag"
	"slices"
)

// synopsis is a command as the manual and a shell's completion know it.
type synopsis struct {
	name  string // what stands after `evergate`: one word, or two
	usage string // with its arguments
	command
	flags []option
}

// option is one flag of a command.
type option struct {
	name, help string
	value      string // what has to follow, in words; empty: nothing
	initial    string // its default; empty if that is nothing worth saying
}

// synopses are all commands with their flags, as the code that runs them declares them. A
// command above others is followed by those.
func synopses() []synopsis { return synopsesOf(commands()) }

func synopsesOf(list []command) (all []synopsis) {
	for _, c := range list {
		all = append(all, synopsisOf("", c))
		for _, below := range c.sub {
			all = append(all, synopsisOf(c.name, below))
		}
	}
	return all
}

// synopsisOf is that of a command under another one, or under none.
func synopsisOf(above string, c command) synopsis {
	name := c.name
	if above != "" {
		name = above + " " + c.name
	}
	return synopsis{name: name, usage: joined(name, c.args), command: c, flags: flagsOf(c)}
}

func joined(name, args string) string {
	if args == "" {
		return name
	}
	return name + " " + args
}

// flagsOf are the flags of a command, with their words and defaults.
func flagsOf(c command) (list []option) {
	a := c.withEnvFiles(c.new(), new([]string))
	if a.flags == nil {
		return nil
	}
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	a.flags(fs)
	fs.VisitAll(func(f *flag.Flag) {
		value, help := flag.UnquoteUsage(f)
		o := option{name: f.Name, help: help, value: value}
		if !slices.Contains([]string{"", "0", "0s", "false"}, f.DefValue) {
			o.initial = f.DefValue
		}
		list = append(list, o)
	})
	return list
}
