package cli

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"
)

// signOptions are what the flags of `sign` say.
type signOptions struct {
	signerFlags
	body, id, event, url string
	time                 string
}

func signCommand() *cobra.Command {
	var o signOptions
	cmd := &cobra.Command{
		Use:   "sign <provider>",
		Short: "Prints the headers that the provider would send with a body",
		Long: `Prints the headers that the provider would send with a body: the signature, and
the stamp, ID and event type where those are headers.` + exitHelp,
		Example: `  caddy webhook-guard sign struktr --secret-env STRUKTR_SECRET --body event.json
  echo -n '{}' | caddy webhook-guard sign stripe --secret-file secret.txt`,
		ValidArgsFunction: completeProviders,
		Args:              cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	o.signerFlags.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.body, "body", "-", "the file that holds the body, - for standard input")
	flags.StringVar(&o.id, "id", "", "the event or delivery ID, where that is sent in a header; default: a new one")
	flags.StringVar(&o.event, "event", "", "the event's type, where that is sent in a header")
	flags.StringVar(&o.time, "time", "", "the time to sign, RFC 3339 or unix seconds; default: now")
	flags.StringVar(&o.url, "url", "https://localhost/", "the URL, where the provider signs that")
	_ = cmd.RegisterFlagCompletionFunc("event", completeEvents)
	return verb(cmd)
}

func (o signOptions) run(provider string, stdin io.Reader, stdout io.Writer) error {
	if err := oneFromStdin(o.body, o.secret.file); err != nil {
		return err
	}
	m, err := o.messenger(provider, stdin)
	if err != nil {
		return err
	}
	if m.key == nil {
		return fmt.Errorf("%s signs nothing: it sends a token in its URL or in a header", provider)
	}
	msg := message{id: o.id, event: o.event, at: time.Now()}
	if msg.id == "" {
		msg.id = randomID()
	}
	if o.time != "" {
		if msg.at, err = parseTime("--time", o.time); err != nil {
			return err
		}
	}
	if msg.url, err = url.Parse(o.url); err != nil {
		return fmt.Errorf("--url: %w", withoutURL(err))
	}
	if msg.body, err = readFile(o.body, stdin); err != nil {
		return fmt.Errorf("--body: %w", err)
	}
	msg.contentType = contentType(msg.body)
	query := msg.url.RawQuery
	signed, err := m.sign(msg, m.key, "")
	if err != nil {
		return err
	}
	if signed.Query != query || !bytes.Equal(signed.Body, msg.body) {
		return fmt.Errorf("%s puts its signature into the query or the body, not into headers: use send", provider)
	}
	delete(signed.Header, "Content-Type")
	names := slices.Sorted(maps.Keys(signed.Header))
	for _, name := range names {
		if !httpguts.ValidHeaderFieldValue(signed.Header[name][0]) {
			return fmt.Errorf("%s: its value, %q, has a character that no header can have", name, signed.Header[name][0])
		}
	}
	for _, name := range names {
		if _, err := fmt.Fprintf(stdout, "%s: %s\n", name, signed.Header[name][0]); err != nil {
			return err
		}
	}
	return nil
}
