package config

import (
	"fmt"

	"evergate/internal/readfile"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// maxSecretFile bounds what is read of a secret's file; no secret is near it.
const maxSecretFile = 64 << 10

// readFile reads the file of a setting. Its error names the setting.
func readFile(setting, path string) (token.Secret, error) {
	text, err := readText(path)
	if err != nil {
		return token.Secret{}, fmt.Errorf("%s_FILE: %w", setting, err)
	}
	value, err := cleanSecret(setting, text)
	switch {
	case err != nil:
		wrong, todo := remedy.Split(err)
		return token.Secret{}, remedy.New(todo, "%s %s (in the file %s)", setting, wrong, path)
	case value == "":
		return token.Secret{}, fmt.Errorf("%s_FILE: %s is empty", setting, path)
	}
	return token.NewSecret(value), nil
}

// ReadSecret reads a credential from a file, by the rules for the file of a setting. Its error goes behind a word for
// the credential and a colon.
func ReadSecret(path string) (token.Secret, error) {
	text, err := readText(path)
	if err != nil {
		return token.Secret{}, err
	}
	value, err := cleanSecret("", text)
	switch {
	case err != nil:
		return token.Secret{}, fmt.Errorf("%s %w", path, err)
	case value == "":
		return token.Secret{}, fmt.Errorf("%s is empty", path)
	}
	return token.NewSecret(value), nil
}

// readText reads a file that is as large as a secret can be.
func readText(path string) (string, error) {
	b, err := readfile.Read(path, maxSecretFile)
	if err == nil {
		return string(b), nil
	}
	if _, todo := remedy.Split(err); todo != "" {
		return "", remedy.Prefix("the file cannot be read", err)
	}
	return "", remedy.New("correct the path, or make it readable for the user that runs Evergate", "the file cannot be read: %w", err)
}

// current returns a value that may live in a file, read anew when it does.
func (c *Config) current(name string, value token.Secret) (token.Secret, error) {
	path, ok := c.files[name]
	if !ok || readfile.IsStream(path) { // nothing more comes through what has been read
		return value, nil
	}
	return readFile(name, path)
}

// File returns where a setting is read from that was given as a file; empty for any other.
func (c *Config) File(setting string) string { return c.files[setting] }

// Client returns the app's id and secret as they are now: what is given as a file is read
// at each call.
func (c *Config) Client() (id string, secret token.Secret, err error) {
	idNow, err := c.current("SHOPIFY_CLIENT_ID", token.NewSecret(c.ClientID))
	if err != nil {
		return "", token.Secret{}, err
	}
	secret, err = c.current("SHOPIFY_CLIENT_SECRET", c.ClientSecret)
	return idNow.Reveal(), secret, err
}

// OtherSecret returns the second client secret of a rotation as it is now; empty when
// there is none.
func (c *Config) OtherSecret() (token.Secret, error) {
	return c.current("SHOPIFY_CLIENT_SECRET_PREVIOUS", c.PreviousSecret)
}

// StoreKeys returns the texts of the keys that encrypt what is stored; empty when there are none.
func (c *Config) StoreKeys() (current, previous token.Secret, err error) {
	if current, err = c.current("EVERGATE_STORE_KEY", c.StoreKey); err != nil {
		return token.Secret{}, token.Secret{}, err
	}
	previous, err = c.current("EVERGATE_STORE_KEY_PREVIOUS", c.StoreKeyPrevious)
	return current, previous, err
}

// RefreshSeed returns the refresh token to begin with, if one is given.
func (c *Config) RefreshSeed() (token.Secret, error) {
	return c.current("SHOPIFY_REFRESH_TOKEN", c.RefreshToken)
}

// StaticToken returns the permanent token as it is now.
func (c *Config) StaticToken() (token.Secret, error) {
	return c.current("SHOPIFY_ACCESS_TOKEN", c.AccessToken)
}

// StaticTokenFile is the file that StaticToken reads; empty: there is none.
func (c *Config) StaticTokenFile() string { return c.File("SHOPIFY_ACCESS_TOKEN") }

// SecretNames lists the variables that a command started by `run` must not see.
func SecretNames() []string {
	var names []string
	for _, s := range settings() {
		if s.secret {
			names = append(names, s.name, s.name+"_FILE")
		}
	}
	return names
}
