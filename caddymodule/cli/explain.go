package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/explain"
	"github.com/webhookguard/caddy-webhook-guard/explain/capture"
)

// explainOptions are what the flags of `explain` say.
type explainOptions struct {
	secret               secretFlags
	config               configFlags
	body, publicURL, now string
	params               map[string]string
}

func explainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain <provider> <captured>",
		Short: "Says why a captured request verifies or does not",
		Long: `Takes a captured request through the guard's checks, and where the signature
does not hold tries the usual mistakes. The capture is a file, or - for
standard input: a raw HTTP request, a curl command line, what curl -v prints, a
line of Caddy's access log with the body that log_append put there, or what
inbox show --body prints of an event. Where the capture has headers alone, the
body is in a file of its own.

It never prints a secret, a signature that was expected, or the body.

The exit status is 0 where the request verifies, 1 where it does not, and 2
where it cannot be judged.`,
		Example: `  caddy webhook-guard explain stripe --secret-env STRIPE_WEBHOOK_SECRET captured.http
  tail -1 access.log | caddy webhook-guard explain github --secret-file secret.txt --body body.json -`,
		ValidArgsFunction: completeProviderAndFile,
		Args:              cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(args[0], args[1], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	o.secret.add(cmd)
	o.config.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.body, "body", "", "the file that holds the body, where the capture does not")
	flags.StringVar(&o.publicURL, "public-url", "", "the URL registered with the sender, as public_url says it to the guard")
	flags.StringToStringVar(&o.params, "param", nil, "a constant that the provider signs along, name=value")
	flags.StringVar(&o.now, "now", "", "the time to judge the request at, RFC 3339 or unix seconds; default: that of the log entry, or now")
	return verb(cmd)
}

var errNotVerified = errors.New("the request does not verify")

func (o explainOptions) run(provider, captured string, stdin io.Reader, stdout io.Writer) error {
	in, secrets, caught, err := o.read(provider, captured, stdin)
	if err != nil {
		return err
	}
	report, err := explainWith(&in, secrets)
	switch {
	case errors.Is(err, explain.ErrNoSecret) && in.Provider.Keys != nil:
		err = fmt.Errorf("%s signs with keys that a guard fetches, and nothing is fetched here: give the public key, or the certificate with it, with --secret-file <file>", provider)
	case errors.Is(err, explain.ErrNoSecret):
		err = fmt.Errorf("%s signs: %w", provider, errNoSecret)
	}
	if err != nil {
		return err
	}
	if err := printReport(stdout, in, caught, report); err != nil {
		return err
	}
	if !report.Verified {
		return unwanted(errNotVerified)
	}
	return nil
}

// explainWith tries each secret of a guard. The report is of the one that verifies, or
// else of the first.
func explainWith(in *explain.Input, secrets []string) (first *explain.Report, err error) {
	for i, secret := range append(secrets, "")[:max(1, len(secrets))] {
		in.Secret = secret
		report, err := explain.Explain(*in)
		if err != nil || report.Verified {
			return report, err
		}
		if i == 0 {
			first = report
		}
	}
	return first, nil
}

// read gathers what there is to judge.
func (o explainOptions) read(provider, captured string, stdin io.Reader) (in explain.Input, secrets []string, caught *capture.Capture, err error) {
	subject, err := o.config.find(provider)
	if err != nil {
		return in, nil, nil, err
	}
	in = explain.Input{Name: provider, Now: time.Now(), Senders: subject.senders}
	in.Provider = config.Provider{PublicURL: o.publicURL, Param: o.params}.Over(subject.provider)
	open := in.Provider.OpenAllows()
	if in.Provider, err = constants(in.Provider.WithoutOpenAllows()); err != nil {
		return in, nil, nil, err
	}
	if err := resolvePublicURL(&in.Provider); err != nil {
		return in, nil, nil, fmt.Errorf("%w: give the URL itself with --public-url", err)
	}
	if err := oneFromStdin(captured, o.body, o.secret.file); err != nil {
		return in, nil, nil, err
	}
	if secrets, err = subject.secrets(o.secret, stdin); err != nil && !errors.Is(err, errNoSecret) {
		return in, nil, nil, err
	}
	text, err := readFile(captured, stdin)
	if err != nil {
		return in, nil, nil, fmt.Errorf("the capture: %w", err)
	}
	var body []byte
	if o.body != "" {
		if body, err = readFile(o.body, stdin); err != nil {
			return in, nil, nil, fmt.Errorf("--body: %w", err)
		}
	}
	caught, err = capture.Parse(text, body)
	if err != nil {
		return in, nil, nil, err
	}
	in.Request, in.Unstripped = caught.Request, caught.Unstripped
	if caught.NoBody {
		note := "the capture holds no body, so it is taken to be empty: give it with --body"
		if caught.Form == capture.FormLog {
			note += ", or log it with `log_append <body {http.request.body}`"
		}
		caught.Notes = append(caught.Notes, note)
	}
	for _, source := range open {
		caught.Notes = append(caught.Notes, "which values the guard allows in "+source+" is not known, so none is refused: name the guard's file with --config")
	}
	if !caught.At.IsZero() {
		in.Now = caught.At
	}
	if o.now != "" {
		if in.Now, err = parseTime("--now", o.now); err != nil {
			return in, nil, nil, err
		}
	}
	return in, secrets, caught, nil
}

// printReport writes what was found. Nothing in it comes from the secret, the
// body or a signature; of the URL, which may hold a token, there is nothing.
func printReport(w io.Writer, in explain.Input, caught *capture.Capture, report *explain.Report) error {
	var out strings.Builder
	r := caught.Request
	fmt.Fprintf(&out, "%s of %d headers and %d bytes of body, judged as %s sends it, at %s\n",
		caught.Form, len(r.Header), len(r.Body), in.Name, in.Now.UTC().Format(time.RFC3339))
	for _, note := range caught.Notes {
		fmt.Fprintf(&out, "note: %s\n", note)
	}
	out.WriteString("\n")
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, step := range report.Steps {
		detail := step.Detail
		if step.Result != "" {
			detail = string(step.Result) + ": " + detail
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", step.Name, step.State, detail)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	out.WriteString("\n")
	writeConclusion(&out, report)
	_, err := io.WriteString(w, out.String())
	return err
}

func writeConclusion(out *strings.Builder, report *explain.Report) {
	if report.Verified {
		out.WriteString("The request verifies.\n")
		return
	}
	out.WriteString("The request does not verify.\n")
	for _, cause := range report.Causes {
		fmt.Fprintf(out, "\n%s: %s\n  %s\n", cause.Code, cause.Why, cause.Do)
	}
	if len(report.Senders) > 0 && !report.Named("other_sender") {
		fmt.Fprintf(out, "\nIt is signed as the provider %s signs.\n", report.Senders[0])
	}
	switch {
	case report.Explained():
	case report.TokenFailed():
		fmt.Fprintf(out, "\nNo usual mistake explains the token (%d were tried). The secret is that of another endpoint, account or\nenvironment.\n", report.Tried)
	default:
		fmt.Fprintf(out, "\nNo usual mistake explains the signature (%d were tried). The secret is that of another endpoint, account or\n"+
			"environment, or the body is not the one that was signed: capture the raw bytes, before any parser.\n", report.Tried)
	}
	if report.CutShort {
		out.WriteString("The body is large, so not every pair of mistakes was tried: capture a smaller event.\n")
	}
}
