package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/scope"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/explain/capture"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

const eventHelp = `
The scope is the provider's name, unless the guard has a scope line; scope and
ID stand in the log of the gateway. A composite ID is given as its parts, or
joined by colons as the log has it, where %3A is a colon inside a part and %25
a percent sign. The running gateway is asked over its admin API.

An event without an ID, or one that was recognised by what is signed, is named
by the captured request with --captured, in the forms that explain takes, or by
the key that stands in the log of its duplicate with --key.`

func lookupCommand() *cobra.Command {
	return eventCommand(http.MethodGet, describe, cobra.Command{
		Use:   "lookup <scope> [<id>…]",
		Short: "Tells what the store knows of one event",
		Long:  "Tells whether an event is in flight, done, or not known to the store, and how it\nstands in its inbox, where it has one." + eventHelp + exitHelp,
		Example: `  caddy webhook-guard lookup docrouter ev-123
  caddy webhook-guard lookup docintell document.completed d-1 j-1
  caddy webhook-guard lookup shopify --captured request.http --secret-env SHOPIFY_SECRET`,
	})
}

func forgetCommand() *cobra.Command {
	return eventCommand(http.MethodDelete, describeForgotten, cobra.Command{
		Use:   "forget <scope> [<id>…]",
		Short: "Lets one event through again",
		Long:  "Makes the store forget an event that is done, so that its next copy is\nforwarded to the app, or accepted into the inbox. One that waits in an inbox is\nleft alone: it is delivered from there." + eventHelp + exitHelp,
		Example: `  caddy webhook-guard forget docrouter ev-123
  caddy webhook-guard forget docintell document.completed:d-1:j-1
  caddy webhook-guard forget acme --captured request.http --config Caddyfile`,
	})
}

// eventOptions are what the flags of `lookup` and `forget` say.
type eventOptions struct {
	adminFlags // its config describes the provider, too

	captured, body, provider string
	secret                   secretFlags
	params                   map[string]string
	keys                     []string
}

func eventCommand(method string, report func(finding) string, template cobra.Command) *cobra.Command {
	var o eventOptions
	cmd := &template
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completeScopes(cmd, nil, begun)
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case o.captured != "" && len(o.keys) > 0:
			return errors.New("name the event by its ID, with --captured or with --key, not by several of them")
		case o.captured != "" || len(o.keys) > 0:
			return cobra.ExactArgs(1)(cmd, args)
		}
		return cobra.MinimumNArgs(2)(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{"scope": {args[0]}, "id": args[1:], "key": o.keys}
		if o.captured != "" {
			keys, err := o.keysOf(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			query["key"] = keys
		}
		return o.run(method, query, report, cmd.OutOrStdout())
	}
	o.adminFlags.add(cmd, ", and describes the provider")
	flags := cmd.Flags()
	flags.StringVar(&o.captured, "captured", "", "the file that holds the captured request, - for standard input")
	flags.StringVar(&o.body, "body", "", "the file that holds its body, where the capture does not")
	flags.StringVar(&o.provider, "provider", "", "the provider that sent it; default: that of the guard in --config, or the one that the scope is called after")
	flags.StringToStringVar(&o.params, "param", nil, "a constant that the provider signs along, name=value")
	flags.StringArrayVar(&o.keys, "key", nil, "the event's key, as the log of its duplicate has it")
	o.secret.add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("provider", func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return completeProviders(cmd, nil, begun)
	})
	return verb(cmd)
}

func (o eventOptions) run(method string, query url.Values, report func(finding) string, stdout io.Writer) error {
	var state adminapi.EventState
	if err := o.ask(method, adminapi.EventPath+"?"+query.Encode(), nil, &state); err != nil {
		return err
	}
	known := finding{EventState: state, captured: o.captured != "", key: len(o.keys) > 0}
	if _, err := fmt.Fprintln(stdout, report(known)); err != nil {
		return err
	}
	if id := query["id"]; state.State == dedupe.Absent.String() && len(id) == 1 && strings.Contains(id[0], ":") {
		if _, err := fmt.Fprintln(stdout, "A colon inside a part of the ID is written %3A, as the log has it."); err != nil {
			return err
		}
	}
	if len(state.Scopes) > 0 {
		wanted := query.Get("scope")
		return unwanted(fmt.Errorf("no guard of the running configuration has the scope %q: %s", wanted, thereAre(wanted, state.Scopes)))
	}
	return nil
}

// finding is what is known of an event, and how it was asked for.
type finding struct {
	adminapi.EventState
	captured, key bool // else by its ID
}

func describe(e finding) string {
	left := time.Duration(e.TTL * float64(time.Second))
	switch {
	case e.Kept != nil:
		return describeKept(e)
	case e.State == dedupe.Done.String():
		text := fmt.Sprintf("done: the app answered %d", e.Status)
		if e.Inbox != "" {
			text = fmt.Sprintf("done: accepted into the inbox %s, which does not list it any more, or answered %d by the app before there was an inbox", e.Inbox, e.Status)
		}
		text += fmt.Sprintf("; remembered for another %s", left)
		if e.Key != "" {
			text += "; the key of what it says is " + e.Key
		}
		if e.ID != "" {
			text += "; it came with the ID " + printable(e.ID)
		}
		return text
	case e.State == dedupe.InFlight.String():
		return fmt.Sprintf("in flight: the lease has %s left", left)
	case len(e.Scopes) > 0:
		return "not known"
	case e.Alone, e.captured:
		return "not known: its next copy is " + letThrough(e)
	case e.key:
		return "not known by this key; a copy may still be a duplicate by its ID"
	}
	return "not known by this ID; a copy may still be a duplicate by what is signed: ask with --captured"
}

// describeForgotten promises something of the next copy only where every key is gone: an
// ID's record names the other key, which is forgotten along with it.
func describeForgotten(e finding) string {
	text := fmt.Sprintf("forgotten: the app had answered %d", e.Status)
	switch {
	case e.Unrouted && e.Kept.State == inbox.Dead.String() && e.State == dedupe.Done.String():
		return fmt.Sprintf("forgotten; the inbox %s, which no guard of the scope has, has given it up and keeps it", e.Inbox)
	case e.GivenUp() && e.State == dedupe.Done.String():
		return fmt.Sprintf("forgotten; the inbox %s has given it up, and the next copy has it delivered again", e.Inbox)
	case e.GivenUp():
		return describe(e)
	case e.Kept != nil:
		text = fmt.Sprintf("forgotten: the inbox %s had delivered it, and the app had answered %d", e.Inbox, e.Kept.Status)
	case e.State != dedupe.Done.String():
		return describe(e)
	case e.Inbox != "":
		text = fmt.Sprintf("forgotten: it had been accepted into the inbox %s, or the app had answered %d before there was an inbox", e.Inbox, e.Status)
	}
	if len(e.Scopes) == 0 && !e.key {
		text += "; the next copy is " + letThrough(e)
	}
	return text
}

// letThrough is what happens to an event that is not known.
func letThrough(e finding) string {
	if e.Inbox != "" {
		return "accepted"
	}
	return "forwarded"
}

// describeKept tells how an event stands in its inbox, which alone knows what the app did.
func describeKept(e finding) string {
	k := e.Kept
	attempts := fmt.Sprintf("%d attempts", k.Attempts)
	if k.Attempts == 1 {
		attempts = "1 attempt"
	}
	text := fmt.Sprintf("accepted; it waits in the inbox %s (%s, %s), and copies are answered queued", e.Inbox, k.State, attempts)
	switch {
	case e.Unrouted && k.State != inbox.Done.String():
		text = fmt.Sprintf("accepted; it is in the inbox %s (%s, %s), which no guard of the scope has: it stays there until one does", e.Inbox, k.State, attempts)
		if e.State == dedupe.Done.String() {
			text += ", and copies are duplicates"
		}
	case e.GivenUp():
		text = fmt.Sprintf("given up in the inbox %s after %s (%s); its next copy has it delivered again", e.Inbox, attempts, printable(k.Reason))
	case !e.Waits():
		text = fmt.Sprintf("delivered from the inbox %s: the app answered %d; copies are duplicates", e.Inbox, k.Status)
	}
	return text + "; its key there is " + k.Key
}

// keysOf returns the keys that a guard of the scope knows a captured request by. The
// request must verify: what is signed is read only where the signature holds.
func (o eventOptions) keysOf(wanted string, stdin io.Reader) ([]string, error) {
	if err := oneFromStdin(o.captured, o.body, o.secret.file); err != nil {
		return nil, err
	}
	subject, err := o.subject(wanted)
	if err != nil {
		return nil, err
	}
	tenant := webhook.Fixed{Namespace: wanted}
	sender, err := webhook.New(subject.name, subject.provider)
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", subject.name, err)
	}
	secrets, err := subject.secrets(o.secret, stdin)
	if err != nil && (sender.Authenticates() || !errors.Is(err, errNoSecret)) {
		return nil, fmt.Errorf("%s: %w", subject.name, err)
	}
	for _, secret := range secrets {
		keys, err := sender.NewKeys(secret)
		if err != nil {
			return nil, fmt.Errorf("the secret of %s: %w", subject.name, err)
		}
		for _, key := range keys {
			tenant.Keys = append(tenant.Keys, signature.Secret{Key: key})
		}
	}
	request, err := readCapture(o.captured, o.body, stdin)
	if err != nil {
		return nil, err
	}
	event, refused := sender.Judge(request, request.Body, tenant, time.Now())
	if refused != nil {
		return nil, unwanted(fmt.Errorf("the captured request does not verify: %s: `caddy webhook-guard explain` says why", refused.Result))
	}
	var keys []string
	for key := range event.Keys.Keys() {
		keys = append(keys, key.String())
	}
	if len(keys) == 0 {
		return nil, unwanted(errors.New("nothing tells such an event from others, so no copy of it is ever a duplicate"))
	}
	return keys, nil
}

// capturedAge is how old a captured request may be.
const capturedAge = caddy.Duration(10 * 365 * 24 * time.Hour)

// subject is the provider whose guard has the scope, with its lines. Its window is wide,
// as a captured request is old.
func (o eventOptions) subject(wanted string) (*subject, error) {
	loaded, err := o.config.load()
	if err != nil {
		return nil, err
	}
	name := o.provider
	for _, block := range loaded.guards {
		if name == "" && scope.Matches(block.scope(), wanted) {
			name = block.ProviderName
		}
	}
	if name == "" {
		name = wanted
	}
	find := o.config
	if len(loaded.guards) > 0 {
		find.scope = wanted
	}
	s, err := find.find(name)
	if err != nil {
		return nil, fmt.Errorf("finding the provider of the scope %s: %w; or name it with --provider", wanted, err)
	}
	wide := config.Provider{Param: o.params, MaxAge: capturedAge, MaxSkew: capturedAge, DedupeTTL: 2 * capturedAge}
	if s.provider, err = constants(wide.Over(s.provider).WithoutOpenAllows()); err != nil {
		return nil, err
	}
	return s, nil
}

func readCapture(captured, body string, stdin io.Reader) (signature.Request, error) {
	text, err := readFile(captured, stdin)
	if err != nil {
		return signature.Request{}, fmt.Errorf("--captured: %w", err)
	}
	var given []byte
	if body != "" {
		if given, err = readFile(body, stdin); err != nil {
			return signature.Request{}, fmt.Errorf("--body: %w", err)
		}
	}
	caught, err := capture.Parse(text, given)
	if err != nil {
		return signature.Request{}, fmt.Errorf("--captured: %w", err)
	}
	return caught.Request, nil
}
