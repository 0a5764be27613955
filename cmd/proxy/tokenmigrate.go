package main

import (
	"flag"
	"fmt"

	"evergate/internal/grantadmin"
	"evergate/internal/sidecar"
)

// tokenMigrate exchanges a permanent token for one that expires and can be renewed.
func tokenMigrate() action {
	yes, shop := false, ""
	var every migration
	return action{
		flags: func(fs *flag.FlagSet) {
			shopFlag(fs, &shop)
			every.flags(fs)
			fs.BoolVar(&yes, "yes", false, "do not ask")
		},
		run: func(w env) error {
			if err := every.check(shop); err != nil {
				return err
			}
			if every.all {
				return every.run(w, yes)
			}
			c, err := openOffline(w, shop)
			if err != nil {
				return err
			}
			static, err := c.StaticToken()
			if err != nil {
				return configError(err)
			}
			m, err := adminOf(c).PlanMigration(static)
			if err != nil {
				return err
			}
			if m.Done {
				fmt.Fprintf(w.out, "The stored grant of %s expires and is renewed already; there is nothing to migrate.\n", c.Shop)
				return nil
			}
			if err := w.prompter().confirm(yes, explainMigration(c, m), "Migrate it?"); err != nil {
				return err
			}
			if err := w.finish("the migration", m.Run); err != nil {
				return err
			}
			fmt.Fprintf(w.out, "Migrated. The new grant of %s is stored in %s; the sidecar renews it from now on.\n", c.Shop, c.RecordPlace())
			fmt.Fprintln(w.out, "The old token is dead: take it out of every program that still holds it and point that at Evergate.")
			adviseSettings(w)
			return nil
		},
	}
}

func explainMigration(c *sidecar.Installation, m *grantadmin.Migration) string {
	begun := ""
	if m.Resumed {
		begun = "A migration was begun before, and its outcome is not known. It can safely be done again within seven days.\n\n"
	}
	return begun + fmt.Sprintf(`The permanent token of the app %s on %s
is exchanged for one that lives for an hour and that Evergate renews. This cannot be undone:
the permanent token is refused from then on, in every other program that uses it, too.

The new grant is kept in %s.
Whoever loses what is kept there loses the access, and someone must log in again.`, c.ClientID(), c.Shop, c.RecordPlace())
}
