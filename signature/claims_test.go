package signature

import (
	"errors"
	"strings"
	"testing"
)

// Of several names one has to be there, and each that is there has to have one of the values.
func TestClaimsWithSeveralNamesAndValues(t *testing.T) {
	scheme := mustCompile(t, Spec{
		Named: "jwt", Params: map[string]string{"app": "a1"},
		Claims: []Claim{
			{Name: "iss", Template: "https://v1/", OrTemplate: []string{"https://v2/"}},
			{Name: "appid", Or: []string{"azp"}, Template: "{param.app}"},
			{Name: "env", Template: "live", Unless: "external.id"},
			{Name: "external.id", Template: "TEST", NotPrefix: true},
			{Name: "mode", Template: "on", Prefix: true},
		},
		Signatures: []SignatureSpec{{Header: "Authorization", Algorithm: "sha256", Format: "Bearer {signature}"}},
	})
	key := testKey(t, "0123456789abcdef")
	for claims, want := range map[string]Reason{
		`"iss":"https://v1/","appid":"a1","env":"live"`:                            "",
		`"iss":"https://v2/","azp":"a1","env":"live"`:                              "",
		`"iss":"https://v2/","azp":"a1","appid":"a1","env":"live"`:                 "",
		`"iss":"https://v2/","azp":"a1","appid":"a2","env":"live"`:                 SignatureInvalid,
		`"iss":"https://v2/","azp":"","appid":"a1","env":"live"`:                   SignatureInvalid,
		`"iss":"https://v2/","azp":["a1"],"env":"live"`:                            SignatureInvalid,
		`"iss":"https://v2/","env":"live"`:                                         SignatureMalformed,
		`"iss":"https://v2/","azp":null,"env":"live"`:                              SignatureMalformed,
		`"iss":"https://v3/","azp":"a1","env":"live"`:                              SignatureInvalid,
		`"iss":"https://v1/https://v2/","azp":"a1","env":"live"`:                   SignatureInvalid,
		`"azp":"a1","env":"live"`:                                                  SignatureMalformed,
		`"iss":"https://v1/","azp":"a1"`:                                           SignatureMalformed,
		`"iss":"https://v1/","azp":"a1","external":{}`:                             SignatureMalformed,
		`"iss":"https://v1/","azp":"a1","external":{"id":"x"}`:                     "",
		`"iss":"https://v1/","azp":"a1","env":"test","external":{"id":"x"}`:        SignatureInvalid,
		`"iss":"https://v1/","azp":"a1","external":{"id":"TEST_x"}`:                SignatureInvalid,
		`"iss":"https://v1/","azp":"a1","external":{"id":"xTEST"}`:                 "",
		`"iss":"https://v1/","azp":"a1","external":{"id":{"TEST":1}}`:              SignatureInvalid,
		`"iss":"https://v1/","azp":"a1","env":"live","mode":"online"`:              "",
		`"iss":"https://v1/","azp":"a1","env":"live","mode":"off"`:                 SignatureInvalid,
		`"iss":"https://v1/","azp":"a1","env":"live","mode":["on"]`:                SignatureInvalid,
		`"iss":"https://v1/","azp":"a1","env":"live","mode":"on","Mode":"off"`:     SignatureMalformed,
		`"iss":"https://v1/","azp":"a1","AppID":"a2","env":"live"`:                 "",
		`"iss":"https://v1/","azp":"a1","external":{"id":"x"},"external":{"id":1}`: SignatureMalformed,
	} {
		err := verifyToken(t, scheme, makeToken(goodHeader, "{"+claims+"}", "0123456789abcdef"), "", key)
		if reasonOf(err) != want {
			t.Errorf("%s: %v, want %q", claims, err, want)
		}
	}
}

func TestClaimLinesThatContradictThemselves(t *testing.T) {
	for want, claims := range map[string][]Claim{
		"is there twice":            {{Name: "a", Template: "1"}, {Name: "b", Or: []string{"a"}, Template: "2"}},
		"claim: a: is there twice":  {{Name: "b", Or: []string{"a"}, Template: "2"}, {Name: "a", Template: "1"}},
		"not two of them":           {{Name: "a", Template: "1", Prefix: true, Optional: true}},
		"cannot hold a part":        {{Name: "a", Template: "{body|sha256|hex}", OrTemplate: []string{"x"}}},
		"a part of the request":     {{Name: "a", Template: "x", OrTemplate: []string{"{body}"}}},
		"the beginning of another":  {{Name: "a", Template: "{method}", NotPrefix: true}},
		"claim: a: {param.x} needs": {{Name: "a", Template: "1", OrTemplate: []string{"{param.x}"}}},
		"claim: b: ":                {{Name: "b", Or: []string{""}, Template: "1"}},
		"claim: c: ":                {{Name: "c", Template: "1", Unless: "a..b"}},
	} {
		_, err := Compile(Spec{Named: "jwt", Claims: claims, Signatures: []SignatureSpec{{Header: "X-Token"}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", claims, err, want)
		}
	}
}

// A claim that may be missing signs nothing.
func TestClaimsThatMayBeMissingCoverNothing(t *testing.T) {
	scheme := mustCompile(t, Spec{
		Named: "jwt", Signatures: []SignatureSpec{{Header: "X-Token"}},
		Claims: []Claim{{Name: "sum", Template: "{body|sha256|hex}", Unless: "other"}},
	})
	if scheme.CoversBody() {
		t.Error("a body is covered whose digest may be missing")
	}
}

// reasonOf is why a request was refused; empty where it was not.
func reasonOf(err error) Reason {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return ""
}
