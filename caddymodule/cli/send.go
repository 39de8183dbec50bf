package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// sendOptions are what the flags of `send` say.
type sendOptions struct {
	signerFlags
	transport     transportFlags
	body, event   string
	count, repeat int
	forge         bool
	serveKeys     bool
	serve         string // where the app is expected
	age           time.Duration
}

func sendCommand() *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send <provider> <url>",
		Short: "Sends a signed event to a gateway and prints the result",
		Long: `Sends a sample event of the provider, or the one given with --body, signed as
the provider signs it, and prints the status and the guard's result. Each event
is a new one to the guard.

A token goes where the provider, or the guard in --config, has it. Where that
is not known, put it into the URL or into a --header.

A provider whose public keys the guard fetches can be tried without it: point
the keys line of the guard in --config to http://127.0.0.1:<port>/<path>, and
--serve-keys answers there with the public half of a key pair that is made for
this one run, until every answer is there. A guard looks for a new key once a
minute; a request is sent again until it has. With a private key in
--secret-file the pair is that.

A guard can be tried without an app, too: --serve listens where the guard's
proxy expects it, prints each request that it receives, its body included, and
answers 204, or with a status of the guard's success line where that lacks 204.
With an inbox it waits until the events have arrived.

The exit status is 0 where every answer is the one that such a request should
get: a first copy is forwarded, a repetition is a duplicate, a forged one gets
a 401, one that is too old a 403. It is 1 where an answer is another one or
there is none, and after Ctrl-C, which ends the run with its summary; it is 2
where the command is used wrongly.`,
		Example: `  caddy webhook-guard send struktr http://localhost:8080/webhooks/struktr --secret-env STRUKTR_SECRET --repeat 2
  caddy webhook-guard send acme https://hooks.example.com/webhooks/acme --config Caddyfile --resolve hooks.example.com:127.0.0.1 --insecure
  caddy webhook-guard send struktr --event list
  caddy webhook-guard send stripe http://localhost:8080/webhooks/stripe --config Caddyfile --serve 5000
  caddy webhook-guard send kinde http://localhost:8080/webhooks/kinde --config Caddyfile --serve-keys
  caddy webhook-guard send okrapdf 'http://localhost:8080/webhooks/okrapdf?token=…' --age 10m`,
		ValidArgsFunction: completeProviders,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.event == listEvents {
				return cobra.RangeArgs(1, 2)(cmd, args)
			}
			return cobra.ExactArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.event == listEvents {
				return o.printEvents(args[0], cmd.OutOrStdout())
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process
			return o.run(ctx, args[0], args[1], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	o.signerFlags.add(cmd)
	o.transport.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.body, "body", "", "the file that holds the event, - for standard input; default: a sample")
	flags.StringVar(&o.event, "event", "", "the type of the sample event, or list to see which there are; default: the first one documented")
	flags.IntVar(&o.count, "count", 1, "how many events to send")
	flags.IntVar(&o.repeat, "repeat", 1, "how often to send each one")
	flags.BoolVar(&o.forge, "forge", false, "sign with a secret that is not the one given")
	flags.BoolVar(&o.serveKeys, "serve-keys", false, "serve the keys that the guard in --config fetches from a loopback address")
	flags.StringVar(&o.serve, "serve", "", "stand in for the app at a port, or host:port, and print what it receives")
	flags.DurationVar(&o.age, "age", 0, "how old the event and its request are to be")
	_ = cmd.RegisterFlagCompletionFunc("event", completeEvents)
	return verb(cmd)
}

// listEvents asks for the sample events in place of sending one.
const listEvents = "list"

func (o sendOptions) printEvents(provider string, stdout io.Writer) error {
	if _, err := o.config.find(provider); err != nil {
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
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("the second argument is the whole URL to send to: http://localhost:8080/webhooks/…")
	}
	if strings.Contains(u.RawQuery, " ") { // no server takes it
		return errors.New("the URL has a space in its query: write %20")
	}
	o.pair = o.serveKeys
	m, err := o.messenger(provider, stdin)
	if err != nil {
		return err
	}
	if m.header["Host"] != nil {
		return errors.New("--header: the host is the URL's: name it there, and the gateway's address with --resolve")
	}
	m.setUser(u)
	if o.forge && !m.canForge(u) {
		return fmt.Errorf("--forge: %s signs nothing, and there is no token to spoil in the URL: put it there, or give --config", provider)
	}
	client, err := o.transport.client(u)
	if err != nil {
		return err
	}
	var given []byte
	if o.body != "" {
		if given, err = readFile(o.body, stdin); err != nil {
			return fmt.Errorf("--body: %w", err)
		}
	}
	c := campaign{sendOptions: o, m: m, client: client, tally: newTally(stdout, secretsOf(u, m), o.count*o.repeat, o.count > 1)}
	defer c.close()
	if err := c.listen(); err != nil {
		return err
	}
	for n := 0; n < o.count && !c.over(ctx); n++ {
		if err := c.event(ctx, u, given); err != nil {
			return err
		}
	}
	return c.end(ctx)
}

// campaign is all that one run of the command sends.
type campaign struct {
	sendOptions
	m      *messenger
	client *client
	keys   *keyServer // nil where none are served
	app    *appServer // nil where there is another one
	tally  *tally
}

// listen starts what the flags want served for the time of the run.
func (c *campaign) listen() (err error) {
	if c.serveKeys {
		if c.keys, err = c.m.serveKeys(); err != nil {
			return err
		}
	}
	if c.serve != "" {
		c.app, err = serveApp(c.serve, successOf(c.m.sender.Rules.Success), c.tally.note)
	}
	return err
}

func (c *campaign) close() {
	if c.keys != nil {
		c.keys.close()
	}
	if c.app != nil {
		c.app.close()
	}
}

// over reports whether nothing more is to be sent: the user has interrupted, or nobody
// answers.
func (c *campaign) over(ctx context.Context) bool { return ctx.Err() != nil || c.tally.unheard() }

// end prints the summary, and waits for what is still on its way to the app.
func (c *campaign) end(ctx context.Context) error {
	if err := c.tally.end(); err != nil || c.app == nil {
		return err
	}
	return c.app.wait(ctx, c.tally.events())
}

// event makes one event and sends it.
func (c *campaign) event(ctx context.Context, u *url.URL, given []byte) error {
	msg, err := c.message(c.m, u, given)
	if err != nil {
		return err
	}
	var signed *signature.Request
	if c.forge {
		signed, err = c.m.forge(msg)
	} else {
		signed, err = c.m.sign(msg, c.m.key, c.m.token)
	}
	if err != nil {
		return err
	}
	want := c.m.expect(signed, c.sendOptions)
	for n := 0; n < c.repeat && !c.over(ctx); n++ {
		got := c.post(ctx, func() reply { return c.client.post(ctx, signed) }, want, n)
		if ctx.Err() != nil && got.word() == noAnswer {
			return nil // the user has cut it off
		}
		if err := c.tally.add(got, want, n); err != nil {
			return err
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

// setUser sends the user and the password of a URL as every HTTP client does, for senders
// whose token is basic authentication.
func (m *messenger) setUser(u *url.URL) {
	if u.User == nil || m.header["Authorization"] != nil {
		return
	}
	password, _ := u.User.Password()
	m.header["Authorization"] = []string{basic(u.User.Username() + ":" + password)}
}

func basic(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

// canForge reports whether there is anything to forge.
func (m *messenger) canForge(u *url.URL) bool {
	return m.key != nil || m.token != "" || m.sender.Rules.Token != nil || u.RawQuery != "" || u.User != nil
}

// forge makes a request that the sender would not: signed with a secret that it does not
// have. Where the provider signs nothing it spoils the token instead.
func (m *messenger) forge(msg message) (*signature.Request, error) {
	scheme := m.sender.Rules.Scheme
	switch {
	case !scheme.Signed():
		return m.spoil(msg)
	case scheme.Asymmetric():
		key, err := signature.AnotherKey(m.key)
		if err != nil {
			return nil, err
		}
		return m.sign(msg, key, "")
	}
	key, err := signature.NewKey(randomID()+randomID(), "raw", "")
	if err != nil {
		return nil, err
	}
	return m.sign(msg, key, "")
}

// spoil sends another token: in the URL the user and each value is one, as a provider may have it under
// any name.
func (m *messenger) spoil(msg message) (*signature.Request, error) {
	token := "forged-" + randomID()
	spoilt := *msg.url
	query := spoilt.Query()
	for name := range query {
		query.Set(name, token)
	}
	spoilt.RawQuery = query.Encode()
	msg.url = &spoilt
	r, err := m.sign(msg, nil, token)
	if err != nil {
		return nil, err
	}
	if spoilt.User != nil {
		r.Header["Authorization"] = []string{basic(token)}
	}
	if place := m.sender.Rules.Token; place != nil && place.Source.Kind == signature.SourceHeader && m.header[place.Source.Name] != nil {
		r.Header[place.Source.Name] = []string{token}
	}
	return r, nil
}
