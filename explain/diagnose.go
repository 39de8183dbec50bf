// Package explain says why a captured request verifies or does not: it takes
// the guard's checks one by one, and where the signature does not hold it tries
// the mistakes that people make. It works on facts alone, and what it returns
// holds no secret, no signature and nothing of a body.
package explain

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// Input is a request and what it is to be judged by.
type Input struct {
	// Name is the provider's, Provider its lines, with what was said on top.
	Name     string
	Provider config.Provider

	Secret  string
	Request signature.Request
	Now     time.Time

	// Unstripped is the body before curl took line breaks out of it, or nil.
	Unstripped []byte

	// Senders are those whose schemes are tried too.
	Senders config.Catalogue
}

// The states of a step.
const (
	Passed  = "ok"
	Failed  = "FAILED"
	Skipped = "-"
)

// Step is one of the guard's checks.
type Step struct {
	Name  string
	State string
	// Result is the word that the guard answers with, where the step failed.
	Result string
	Detail string
}

// Cause is a mistake that explains a failure.
type Cause struct {
	// Code names the kind of mistake.
	Code string
	// Why says what is wrong, Do how to mend it.
	Why, Do string
}

// Report is what was found out.
type Report struct {
	Steps    []Step
	Verified bool

	// Causes explain the failure, all of them together. None: no usual
	// mistake does.
	Causes []Cause

	// Senders are those who sign as the request is signed, where that is not
	// the provider that was named.
	Senders []string

	// Tried counts what was tried; CutShort says that pairs of mistakes in so
	// large a body were not.
	Tried    int
	CutShort bool
}

// wide lets every stamp pass, so that the signature is judged alone.
var wide = signature.Window{MaxAge: math.MaxInt64, MaxSkew: math.MaxInt64, EventTTL: math.MaxInt64}

// ErrNoSecret is returned where there is nothing to compare a signature with.
var ErrNoSecret = errors.New("the provider signs, so the secret is needed")

// Explain judges the request. The error says that it cannot be judged at all.
func Explain(in Input) (*Report, error) {
	rules, err := in.Provider.Resolve()
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", in.Name, err)
	}
	x := &explainer{in: in, rules: rules, report: &Report{Verified: true}, schemes: make(map[string]*signature.Scheme)}
	if x.signed() && in.Secret == "" {
		return nil, ErrNoSecret
	}
	x.request = withPublicURL(in.Request, rules)
	x.method()
	x.size()
	if x.signed() {
		x.signature()
	} else {
		x.token()
		x.stampsAlone()
	}
	x.identity()
	x.handshake()
	return x.report, nil
}

type explainer struct {
	in      Input
	rules   *config.Resolved
	request signature.Request // with the public URL
	report  *Report
	schemes map[string]*signature.Scheme
}

func (x *explainer) signed() bool { return x.rules.Scheme.Signed() }

func (x *explainer) step(name, state, detail string, args ...any) {
	x.report.Steps = append(x.report.Steps, Step{Name: name, State: state, Detail: fmt.Sprintf(detail, args...)})
}

func (x *explainer) fail(name, result, detail string, args ...any) {
	x.report.Verified = false
	x.report.Steps = append(x.report.Steps, Step{Name: name, State: Failed, Result: result, Detail: fmt.Sprintf(detail, args...)})
}

func (x *explainer) cause(causes ...Cause) {
	x.report.Causes = append(x.report.Causes, causes...)
}

// failWith takes result and detail from a refusal.
func (x *explainer) failWith(name string, err error) {
	var refusal *signature.Error
	if !errors.As(err, &refusal) {
		x.fail(name, "", "%s", err)
		return
	}
	x.fail(name, string(refusal.Reason), "%s", refusal.Detail)
}

// withPublicURL is what the guard makes of a request where public_url is set.
func withPublicURL(r signature.Request, rules *config.Resolved) signature.Request {
	if public := rules.PublicURL; public != nil {
		r.Scheme, r.Host = public.Scheme, public.Host
		if public.Path != "" || public.RawQuery != "" {
			r.Path, r.Query = public.EscapedPath(), public.RawQuery
		}
	}
	return r
}

func (x *explainer) method() {
	if !slices.Contains(x.rules.Methods, x.request.Method) {
		x.fail("method", "method_not_allowed", "it is not one that the provider uses: %s", strings.Join(x.rules.Methods, ", "))
		return
	}
	x.step("method", Passed, "%s", x.request.Method)
}

// signature judges headers, stamp and signature. A stale capture is the rule,
// as captures are looked at later, so the signature is judged all the same.
func (x *explainer) signature() {
	scheme := x.rules.Scheme
	if _, err := scheme.Inspect(&x.request, wide, x.in.Now); isSignature(err) {
		x.failWith("headers", err)
		x.step("stamp", Skipped, "not looked at")
		x.step("signature", Skipped, "not looked at")
		x.search()
		return
	}
	x.step("headers", Passed, "%s", x.signatureHeaders())
	key, err := scheme.NewKey(x.in.Secret)
	if err != nil {
		x.fail("secret", "", "%s", err)
		x.step("signature", Skipped, "not looked at")
		x.search()
		return
	}
	secrets := []signature.Secret{{Key: key}}
	x.stamps(secrets)
	if err := x.match(secrets); err != nil {
		x.failWith("signature", err)
		x.search()
		return
	}
	x.step("signature", Passed, "the secret matches")
}

// match judges the signature alone. The guard reads stamps first, and refuses
// what it cannot read; here they are left out as far as nothing signs them.
func (x *explainer) match(secrets []signature.Secret) error {
	_, err := x.rules.Scheme.Verify(&x.request, secrets, wide, x.in.Now)
	if err == nil || isSignature(err) {
		return err
	}
	for _, format := range []string{"", "unix", "unix_ms", "rfc3339"} {
		p := withStampFormat(x.in.Provider, format)
		p.EventTime = nil
		rules, err := p.Resolve()
		if err != nil {
			continue
		}
		if _, err := rules.Scheme.Verify(&x.request, secrets, wide, x.in.Now); err == nil {
			return nil
		}
	}
	return &signature.Error{Reason: signature.SignatureInvalid, Detail: "no secret matches"}
}

func (x *explainer) signatureHeaders() string {
	var names []string
	for _, s := range x.rules.Scheme.Spec().Signatures {
		names = append(names, s.Header)
	}
	if len(names) == 0 {
		return "the signature is there and well-formed"
	}
	return strings.Join(names, " or ") + " is there and well-formed"
}

func isSignature(err error) bool {
	var refusal *signature.Error
	return errors.As(err, &refusal) && strings.HasPrefix(string(refusal.Reason), "signature_")
}

func (x *explainer) size() {
	if size := int64(len(x.request.Body)); size > x.rules.MaxBody {
		x.fail("size", "body_too_large", "the body has %d bytes, max_body is %d", size, x.rules.MaxBody)
		return
	}
	x.step("size", Passed, "%d bytes", len(x.request.Body))
}

// identity reads the ID as the guard would after all else.
func (x *explainer) identity() {
	if !x.report.Verified {
		x.step("id", Skipped, "not looked at")
		return
	}
	sender, err := webhook.New(x.in.Name, x.in.Provider)
	if err != nil {
		x.fail("id", "", "%s", err)
		return
	}
	tenant := webhook.Fixed{Namespace: "explain"}
	if key, err := sender.NewKey(x.in.Secret); err == nil {
		tenant.Keys = []signature.Secret{{Key: key}}
	}
	found, refused := sender.Judge(x.in.Request, x.in.Request.Body, tenant, x.in.Now)
	content := !found.Keys.Content.IsZero()
	switch {
	case refused != nil:
		x.fail("id", string(refused.Result), "%s", refused.Cause)
	case found.ID != nil && x.rules.IDSigned():
		x.step("id", Passed, "there, and under the signature")
	case found.ID != nil && content:
		x.step("id", Passed, "there, but not signed: copies are told by their content too")
	case found.ID != nil:
		x.step("id", Passed, "there, but not signed")
	case content:
		x.step("id", Passed, "none: copies are told by their content")
	default:
		x.step("id", Passed, "none, and no content: copies cannot be told")
	}
}

// unproven are the results of requests that do not even claim to be an event.
var unproven = []string{"method_not_allowed", "signature_missing", "token_missing"}

// handshake tells a sender's check of the endpoint from an event.
func (x *explainer) handshake() {
	if !slices.ContainsFunc(x.report.Steps, func(s Step) bool { return slices.Contains(unproven, s.Result) }) {
		return
	}
	h, err := config.ParseHandshake(x.in.Provider.Handshake)
	if err != nil || h == nil || !slices.ContainsFunc(h.Checks, func(c config.Check) bool { return c.Matches(&x.request) }) {
		return
	}
	x.report.Causes = []Cause{{"handshake", "This is the sender's check of the endpoint, not an event.",
		"The guard answers it by the provider's line handshake " + h.Kind + "; nothing else has to be done."}}
}

// Named says whether a mistake of this kind is among the causes.
func (r *Report) Named(code string) bool {
	return slices.ContainsFunc(r.Causes, func(c Cause) bool { return c.Code == code })
}

// Explained says whether there is a cause for all that failed. A stamp has its
// own; a signature that fails beside it needs one too.
func (r *Report) Explained() bool {
	searched := slices.ContainsFunc(r.Steps, func(s Step) bool {
		return s.State == Failed && s.Name != "stamp" && s.Name != "method" && s.Name != "size"
	})
	return !searched || slices.ContainsFunc(r.Causes, func(c Cause) bool { return !ofStamp[c.Code] })
}

// ofStamp are the causes that explain a stamp and no signature.
var ofStamp = map[string]bool{
	"stamp_missing": true, "stamp_format": true, "stamp_stale": true, "stamp_future": true, "stamp_malformed": true, "event_expired": true,
}
