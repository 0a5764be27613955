package check

import (
	"context"

	"evergate/internal/limit"
)

// Limits says how much one process holds for its clients, and whether it can.
func Limits(l limit.Limits) Check {
	return Check{Name: "limits", Needs: []string{"configuration"}, Run: func(context.Context) []Result {
		if err := l.Shortage(); err != nil {
			return FromError(Warn, err)
		}
		return ok("%s", l)
	}}
}
