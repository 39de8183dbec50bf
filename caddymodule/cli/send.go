package cli

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
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// sendTimeout is how long an answer may take.
const sendTimeout = time.Minute

// sendOptions are what the flags of `send` say.
type sendOptions struct {
	secret        secretFlags
	sender        senderFlags
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
  caddy webhook-guard send struktr --event list
  caddy webhook-guard send okrapdf 'http://localhost:8080/webhooks/okrapdf?token=…' --age 10m`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.event == listEvents {
				return cobra.RangeArgs(1, 2)(cmd, args)
			}
			return cobra.ExactArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			if o.event == listEvents {
				return printEvents(args[0], cmd.OutOrStdout())
			}
			return o.run(cmd.Context(), args[0], args[1], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	o.secret.add(cmd)
	o.sender.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.body, "body", "", "the file that holds the event, - for standard input; default: a sample")
	flags.StringVar(&o.event, "event", "", "the type of the sample event, or list to see which there are; default: the first one documented")
	flags.IntVar(&o.count, "count", 1, "how many events to send")
	flags.IntVar(&o.repeat, "repeat", 1, "how often to send each one")
	flags.BoolVar(&o.forge, "forge", false, "sign with a secret that is not the one given")
	flags.DurationVar(&o.age, "age", 0, "how old the event and its request are to be")
	return cmd
}

// listEvents asks for the sample events in place of sending one.
const listEvents = "list"

func printEvents(provider string, stdout io.Writer) error {
	if _, err := config.Builtin().Get(provider); err != nil {
		return err
	}
	events := config.SampleEvents(provider)
	if len(events) == 0 {
		return fmt.Errorf("%s has no documented sample: an event of any type is made of what its lines ask for, or give one with --body", provider)
	}
	_, err := fmt.Fprintln(stdout, strings.Join(events, "\n"))
	return err
}

func (o sendOptions) run(ctx context.Context, provider, target string, stdin io.Reader, stdout io.Writer) error {
	if o.count < 1 || o.repeat < 1 {
		return errors.New("--count and --repeat must be 1 or more")
	}
	if err := oneFromStdin(o.body, o.secret.file); err != nil {
		return err
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return errors.New("the second argument is the whole URL to send to: http://localhost:8080/webhooks/…")
	}
	m, err := newMessenger(provider, o.secret, o.sender, stdin)
	if err != nil {
		return err
	}
	sign := m.sign
	if o.forge {
		sign = m.forge
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
		signed, err := sign(msg, m.key)
		if err != nil {
			return err
		}
		for range o.repeat {
			if err := post(ctx, signed, stdout); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o sendOptions) message(m *messenger, u *url.URL, given []byte) (message, error) {
	msg := message{url: u, id: randomID(), event: o.event, at: time.Now().Add(-o.age).Truncate(time.Millisecond)}
	sample, err := config.NewSample(m.name, m.provider, o.event, msg.id, msg.at)
	if given != nil {
		// Of the sample only its headers count, if there is one of that event.
		sample.Body, sample.ContentType, sample.Event = given, contentType(given), o.event
	} else if err != nil {
		return msg, err
	}
	msg.body, msg.contentType, msg.header, msg.event = sample.Body, sample.ContentType, sample.Header, sample.Event
	return msg, nil
}

// forge makes a request that the sender would not: signed with a secret that it
// does not have, or, where that is a private key, for other bytes. Where the
// provider signs nothing it spoils the URL's token instead.
func (m *messenger) forge(msg message, key *signature.Key) (*signature.Request, error) {
	switch {
	case key == nil:
		spoilt := *msg.url
		query := spoilt.Query()
		for name := range query {
			query.Set(name, "forged-"+randomID())
		}
		spoilt.RawQuery = query.Encode()
		msg.url = &spoilt
	case m.scheme.Asymmetric():
		other := msg
		other.body = append([]byte(" "), msg.body...)
		forged, err := m.sign(other, key)
		if err == nil {
			forged.Body = msg.body
		}
		return forged, err
	default:
		var err error
		if key, err = signature.NewKey(randomID()+randomID(), "raw", ""); err != nil {
			return nil, err
		}
	}
	return m.sign(msg, key)
}

// post sends one request and prints a line about its answer.
func post(ctx context.Context, r *signature.Request, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	target := r.Scheme + "://" + r.Host + r.Path
	if r.Query != "" {
		target += "?" + r.Query
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(r.Body))
	if err != nil {
		return err
	}
	req.Header = http.Header(r.Header).Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 256))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	result := resp.Header.Get(webhook.ResultHeader)
	if result == "" {
		result = "(no guard answered)"
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	_, err = fmt.Fprintln(stdout, strings.TrimSpace(fmt.Sprintf("%d %s  %s", resp.StatusCode, result, first)))
	return err
}
