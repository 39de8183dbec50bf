package webhook

import (
	"net/url"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// What the sender signs is the URL registered with it; everything else is read from the
// request's own.
func TestThePublicURLIsWhatTheSenderSigns(t *testing.T) {
	for name, tc := range map[string]struct{ public, want string }{
		"none":    {"", "http://example.com/in?a=1"},
		"bare":    {"https://hooks.example.com", "https://hooks.example.com/in?a=1"},
		"a path":  {"https://hooks.example.com/x%2Fy", "https://hooks.example.com/x%2Fy"},
		"a slash": {"https://hooks.example.com/", "https://hooks.example.com/"},
		"a query": {"https://hooks.example.com/x?k=%41", "https://hooks.example.com/x?k=%41"},
		"a port":  {"http://hooks.example.com:81", "http://hooks.example.com:81/in?a=1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Sender{Rules: new(config.Resolved)}
			if tc.public != "" {
				s.Rules.PublicURL, _ = url.Parse(tc.public)
			}
			own := signature.Request{Scheme: "http", Host: "example.com", Path: "/in", Query: "a=1"}
			f := s.SignedURL(own)
			got := f.Scheme + "://" + f.Host + f.Path
			if f.Query != "" {
				got += "?" + f.Query
			}
			if got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}
