package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// sendTimeout is how long an answer may take.
const sendTimeout = time.Minute

// transportFlags say how the gateway is reached.
type transportFlags struct {
	insecure bool
	resolve  []string
}

func (f *transportFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.insecure, "insecure", false, "take any certificate of the gateway's")
	flags.StringArrayVar(&f.resolve, "resolve", nil, "connect to another address, host:addr or host:addr:port, while the request names the URL's host")
}

// client sends requests as a sender does: it follows no redirect.
type client struct{ http.Client }

func (f transportFlags) client(target *url.URL) (*client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if f.insecure {
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	for _, text := range f.resolve {
		host, address, err := parseResolve(text, target)
		if err != nil {
			return nil, err
		}
		if !strings.EqualFold(host, target.Hostname()) {
			return nil, fmt.Errorf("--resolve: %s is not the URL's host", host)
		}
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	}
	c := new(client)
	c.Transport = transport
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// parseResolve reads host:addr, host:addr:port, or host:port:addr as curl has it. An IPv6
// address with a port is in brackets.
func parseResolve(text string, target *url.URL) (host, address string, err error) {
	host, rest, _ := strings.Cut(text, ":")
	port := target.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[target.Scheme]
	}
	if port == "" {
		port = "80"
	}
	if first, addr, ok := strings.Cut(rest, ":"); ok && first == port {
		if _, err := netip.ParseAddr(strings.Trim(addr, "[]")); err == nil {
			rest = addr
		}
	}
	if addr, err := netip.ParseAddr(strings.Trim(rest, "[]")); err == nil {
		return host, net.JoinHostPort(addr.String(), port), nil
	}
	if name, other, err := net.SplitHostPort(rest); err == nil && name != "" && isPort(other) {
		return host, rest, nil
	}
	if host == "" || rest == "" || strings.ContainsAny(rest, ":/") {
		return "", "", errors.New("--resolve: write host:addr, as in hooks.example.com:127.0.0.1")
	}
	return host, net.JoinHostPort(rest, port), nil
}

func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}

// reply is what came of one request.
type reply struct {
	status    int
	result    webhook.Result // "" where no guard answered
	text      string         // the first line of the answer
	elsewhere bool           // it names another URL
	took      time.Duration
	err       error // there was no answer; it holds nothing of the URL but its host
}

func (c *client) post(ctx context.Context, r *signature.Request) reply {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	target := r.Scheme + "://" + r.Host + r.Path
	if r.Query != "" {
		target += "?" + r.Query
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(r.Body))
	if err != nil {
		return reply{err: errors.New("the URL cannot be sent to")}
	}
	req.Header = http.Header(r.Header).Clone()
	begun := time.Now()
	resp, err := c.Do(req)
	if err != nil {
		return reply{err: fmt.Errorf("sending to %s: %w%s", r.Host, withoutURL(err), adviceOnFailure(err))}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 256))
	if err != nil {
		return reply{err: fmt.Errorf("reading the answer of %s: %w%s", r.Host, withoutURL(err), adviceOnFailure(err))}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return reply{
		status: resp.StatusCode, result: webhook.Result(resp.Header.Get(webhook.ResultHeader)),
		text: strings.TrimSpace(first), elsewhere: resp.Header.Get("Location") != "", took: time.Since(begun),
	}
}

// withoutURL takes the URL out of an error of the HTTP client: it may hold a token.
func withoutURL(err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		return withURL.Err
	}
	return err
}

// secretsOf are the texts that no output may hold: what the URL's query, its user
// information and the headers given say, the token, and the secrets, which an app has no use
// for and may send back all the same.
func secretsOf(u *url.URL, m *messenger) []string {
	texts := append([]string{m.token}, m.hidden...)
	for _, values := range m.header {
		for _, value := range values {
			texts = append(append(texts, value), strings.Fields(value)...)
		}
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		decoded, _ := url.QueryUnescape(value)
		texts = append(texts, value, decoded)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		texts = append(texts, password)
	}
	for _, text := range slices.Clone(texts) {
		texts = append(texts, url.QueryEscape(text))
	}
	texts = slices.DeleteFunc(texts, func(text string) bool { return len(text) < 4 })
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) })
	return texts
}
