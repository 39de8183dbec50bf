package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// sendTimeout is how long an answer may take.
const sendTimeout = time.Minute

// sendOptions are what the flags of `send` say.
type sendOptions struct {
	secret        secretFlags
	body, event   string
	count, repeat int
	forge         bool
	age           time.Duration
}

func sendCommand() *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send <provider> <url>",
		Short: "Sends a signed event to a gateway and prints what becomes of it",
		Long: `Sends a sample event of the provider, or the one given with --body, signed as
the provider signs it, and prints the status and the guard's result.

A provider that signs nothing sends a token: put it into the URL.`,
		Example: `  caddy webhook-guard send struktr http://localhost:8080/webhooks/struktr --secret-env STRUKTR_SECRET --repeat 2
  caddy webhook-guard send okrapdf 'http://localhost:8080/webhooks/okrapdf?token=…' --age 10m`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			return o.run(cmd.Context(), args[0], args[1], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	o.secret.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.body, "body", "", "the file that holds the event, - for standard input; default: a sample")
	flags.StringVar(&o.event, "event", "", "the type of the sample event; default: the first one documented")
	flags.IntVar(&o.count, "count", 1, "how many events to send")
	flags.IntVar(&o.repeat, "repeat", 1, "how often to send each one")
	flags.BoolVar(&o.forge, "forge", false, "sign with a secret that is not the one given")
	flags.DurationVar(&o.age, "age", 0, "how old the event and its request are to be")
	return cmd
}

func (o sendOptions) run(ctx context.Context, provider, target string, stdin io.Reader, stdout io.Writer) error {
	if o.count < 1 || o.repeat < 1 {
		return errors.New("--count and --repeat must be 1 or more")
	}
	if o.body == "-" && o.secret.file == "-" {
		return errors.New("body and secret cannot both come from standard input: name a file for one of them")
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return errors.New("the second argument is the whole URL to send to: http://localhost:8080/webhooks/…")
	}
	m, err := newMessenger(provider, o.secret, stdin)
	if err != nil {
		return err
	}
	key := m.key
	if o.forge {
		if key, err = m.forgedKey(u); err != nil {
			return err
		}
	}
	var given []byte
	if o.body != "" {
		if given, err = readFile(o.body, stdin); err != nil {
			return fmt.Errorf("--body: %w", err)
		}
	}
	for range o.count {
		msg, err := o.message(m, u, given)
		if err != nil {
			return err
		}
		header, err := m.sign(msg, key)
		if err != nil {
			return err
		}
		for range o.repeat {
			if err := post(ctx, u, header, msg.body, stdout); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o sendOptions) message(m *messenger, u *url.URL, given []byte) (message, error) {
	msg := message{url: u, id: randomID(), event: o.event, at: time.Now().Add(-o.age).Truncate(time.Millisecond)}
	if given != nil {
		msg.body, msg.contentType = given, contentType(given)
		return msg, nil
	}
	sample, err := config.NewSample(m.name, m.provider, o.event, msg.id, msg.at)
	if err != nil {
		return msg, err
	}
	msg.body, msg.contentType, msg.event = sample.Body, sample.ContentType, sample.Event
	return msg, nil
}

// forgedKey is a key that the sender does not have. Where the provider signs
// nothing it spoils the URL's token instead.
func (m *messenger) forgedKey(u *url.URL) (*signature.Key, error) {
	if m.key != nil {
		return signature.NewKey(randomID()+randomID(), "raw", "")
	}
	query := u.Query()
	for name := range query {
		query.Set(name, "forged-"+randomID())
	}
	u.RawQuery = query.Encode()
	return nil, nil
}

// post sends one request and prints a line about its answer.
func post(ctx context.Context, u *url.URL, header http.Header, body []byte, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 256))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	result := resp.Header.Get(headerResult)
	if result == "" {
		result = "(no guard answered)"
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	_, err = fmt.Fprintln(stdout, strings.TrimSpace(fmt.Sprintf("%d %s  %s", resp.StatusCode, result, first)))
	return err
}
