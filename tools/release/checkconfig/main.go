// Command checkconfig reads a configuration of goreleaser's as goreleaser reads it, and
// refuses what it does not know. To build goreleaser itself takes minutes, its configuration
// package seconds.
package main

import (
	"fmt"
	"os"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

func main() {
	project, err := config.Load(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(project.ProjectName, len(project.Builds), len(project.NFPMs), len(project.SBOMs))
}
