package webhook

import (
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// What the sender signs is the URL registered with it, with the request's own query.
func TestThePublicURLIsWhatTheSenderSigns(t *testing.T) {
	for name, tc := range map[string]struct{ public, want string }{
		"none":          {"", "http://example.com/in?a=1"},
		"bare":          {"https://hooks.example.com", "https://hooks.example.com/in?a=1"},
		"a path":        {"https://hooks.example.com/x%2Fy", "https://hooks.example.com/x%2Fy?a=1"},
		"a slash":       {"https://hooks.example.com/", "https://hooks.example.com/in?a=1"},
		"a path and /":  {"https://hooks.example.com/x/", "https://hooks.example.com/x/?a=1"},
		"a query":       {"https://hooks.example.com/x?k=%41", "https://hooks.example.com/x?a=1"},
		"only a query":  {"https://hooks.example.com?k=%41", "https://hooks.example.com/in?a=1"},
		"a port":        {"http://hooks.example.com:81", "http://hooks.example.com:81/in?a=1"},
		"a case":        {"HTTPS://Hooks.example.com", "HTTPS://Hooks.example.com/in?a=1"},
		"credentials":   {"https://u:p%40@hooks.example.com/x", "https://u:p%40@hooks.example.com/x?a=1"},
		"a fragment":    {"https://hooks.example.com/x#rc=2", "https://hooks.example.com/x?a=1#rc=2"},
		"query, then #": {"https://hooks.example.com?x=/y#z?", "https://hooks.example.com/in?a=1#z?"},
		"an @ in paths": {"https://hooks.example.com/@me", "https://hooks.example.com/@me?a=1"},
		"IPv6":          {"https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443/in?a=1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Sender{Rules: new(config.Resolved)}
			if tc.public != "" {
				var err error
				if s.Rules.PublicURL, err = config.ParsePublicURL(tc.public); err != nil {
					t.Fatal(err)
				}
			}
			f := s.SignedURL(signature.Request{Scheme: "http", Host: "example.com", Path: "/in", Query: "a=1"})
			template, err := signature.ParseTemplate("{url}")
			if err != nil {
				t.Fatal(err)
			}
			got, err := template.Append(nil, &f, signature.Parts{}, nil)
			if err != nil || string(got) != tc.want {
				t.Errorf("%s (%v), want %s", got, err, tc.want)
			}
		})
	}
}

// An event that has an ID has no other key where the ID is signed, and where the sender's
// lines ask for none.
func TestByIDAlone(t *testing.T) {
	for lines, want := range map[string]bool{
		"signature X-Sig\nid body id":                              true,
		"signature X-Sig\nid header X-Id\ncontent off":             true,
		"token bearer\nid header X-Id":                             true,
		"signature X-Sig\nid header X-Id":                          false,
		"signature X-Sig\nid body id or header X-Id":               false,
		"signature X-Sig":                                          false,
		"signature X-Sig\nid header X-Id\ncontent {body.document}": false,
	} {
		if got := newSender(t, lines).ByIDAlone(); got != want {
			t.Errorf("%q: %t, want %t", lines, got, want)
		}
	}
}
