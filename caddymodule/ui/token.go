package ui

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strings"
)

// A change is let in from the page's own forms only. The browser says where a request is from
// (Sec-Fetch-Site or Origin), and each form repeats the token in the browser's cookie, which
// no other site can read or, under its name, set. Nothing of it is kept, so any gateway takes
// the form that another one has shown.

// sameOrigin takes a request's word for where it is from, where a browser sent it.
var sameOrigin = http.NewCrossOriginProtection()

const (
	// securedCookie is one that only this host can have set, and over TLS.
	securedCookie = "__Host-webhook-guard"
	plainCookie   = "webhook-guard"
	tokenField    = "token"
)

func (v *visit) cookieName() string {
	if v.r.TLS != nil {
		return securedCookie
	}
	return plainCookie
}

// token is what this browser's forms are to repeat. It gives the browser one first, where it
// has none.
func (v *visit) token() string {
	if token, ok := v.cookieToken(); ok {
		return token
	}
	token := rand.Text()
	http.SetCookie(v.w, &http.Cookie{
		Name: v.cookieName(), Value: token, Path: "/", HttpOnly: true, Secure: v.r.TLS != nil,
		SameSite: http.SameSiteLaxMode, // Strict would renew it whenever somebody follows a shared link
	})
	return token
}

// cookieToken is the token in the cookie. One that others could have set beside ours is none.
func (v *visit) cookieToken() (string, bool) {
	cookies := v.r.CookiesNamed(v.cookieName())
	if len(cookies) != 1 {
		return "", false
	}
	token := cookies[0].Value
	return token, len(token) == len(rand.Text()) && strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// checkOrigin refuses a change that is not from one of the page's own forms.
func (v *visit) checkOrigin() error {
	if err := sameOrigin.Check(v.r); err != nil {
		return refusal{http.StatusForbidden, "This change was sent by another site."}
	}
	token, ok := v.cookieToken()
	if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(v.r.PostForm.Get(tokenField))) != 1 {
		return refusal{http.StatusForbidden, "The form's token is not this browser's, or the browser keeps no cookies. Open the page anew and try again."}
	}
	return nil
}
