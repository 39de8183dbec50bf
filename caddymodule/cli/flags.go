package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"

	"github.com/webhookguard/caddy-webhook-guard/explain/capture"
)

// secretFlags say where a secret is. It is never taken from the command line
// itself, which other users of the machine can read.
type secretFlags struct {
	env, file string
}

func (f *secretFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.env, "secret-env", "", "the environment variable that holds the secret")
	cmd.Flags().StringVar(&f.file, "secret-file", "", "the file that holds the secret, - for standard input")
	cmd.MarkFlagsMutuallyExclusive("secret-env", "secret-file")
}

var errNoSecret = errors.New("name the secret: --secret-env <variable> or --secret-file <file>, or --config <file> for that of a guard")

// read reads the secret. Its errors do not hold what the flags say: whoever writes $NAME where
// a name belongs gives the secret itself, and an error ends up in a log.
func (f *secretFlags) read(stdin io.Reader) (string, error) {
	var secret string
	switch {
	case f.env != "":
		secret = os.Getenv(f.env)
		if secret == "" {
			return "", errors.New("--secret-env: the environment has no variable of this name, or it is empty: write NAME, not $NAME")
		}
		return secret, nil
	case f.file != "":
		text, err := readFile(f.file, stdin)
		if err != nil {
			return "", fmt.Errorf("--secret-file: %w", withoutName(err))
		}
		if capture.IsUTF16(text) {
			return "", errors.New("--secret-file: it is in UTF-16, as PowerShell writes files: save it as UTF-8")
		}
		// One newline at the end, as editors and {file.*} have it.
		secret = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		if secret == "" {
			return "", errors.New("--secret-file: it is empty")
		}
		return secret, nil
	}
	return "", errNoSecret
}

// withoutName takes the name of the file out of an error.
func withoutName(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return fmt.Errorf("%s: %w", named.Op, named.Err)
	}
	return err
}

// readFile reads a file, or standard input for the name -.
func readFile(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}

// senderFlags say what only the user of a provider knows, beside the secret.
type senderFlags struct {
	params  map[string]string
	headers []string
}

func (f *senderFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringToStringVar(&f.params, "param", nil, "a constant that the scheme needs, name=value")
	cmd.Flags().StringArrayVar(&f.headers, "header", nil, "a header to send, 'Name: value', where the provider signs one")
}

// oneFromStdin refuses to read standard input for more than one of the files.
func oneFromStdin(files ...string) error {
	if first := slices.Index(files, "-"); first >= 0 && slices.Contains(files[first+1:], "-") {
		return errors.New("two files cannot both come from standard input: read only one of body, secret and capture from there")
	}
	return nil
}

func parseHeaders(lines []string) (map[string][]string, error) {
	header := make(map[string][]string)
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)); !ok || name == "" {
			return nil, fmt.Errorf("--header: write 'Name: value'")
		}
		if value = strings.TrimSpace(value); !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("--header: %q has a character that no header can have", line)
		}
		header[name] = append(header[name], value)
	}
	return header, nil
}

// parseTime reads a time as people and as senders write it.
func parseTime(flag, text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%s: %q is neither RFC 3339 nor unix seconds", flag, text)
	}
	return at, nil
}

// signerFlags say who signs, and with what.
type signerFlags struct {
	secret secretFlags
	sender senderFlags
	config configFlags
	pair   bool // a private key that is not given is made
}

func (o *signerFlags) add(cmd *cobra.Command) {
	o.secret.add(cmd)
	o.sender.add(cmd)
	o.config.add(cmd)
}
