// Package signature decides whether a webhook was really sent by its provider
// and is fresh, and signs requests the way a provider does.
//
// It is a function of its arguments: the facts of a request, the secrets in
// force, a window and the time. It reads no clock, opens nothing and knows no
// HTTP server, so every rule in it can be tested with a table.
//
// # How a scheme is described
//
// A [Spec] is what a provider's documentation says, as data: which headers or
// fields hold signatures and in what shape ([SignatureSpec]), which bytes are
// under the MAC (templates, see [ParseTemplate]) or what a token has to claim
// ([Claim]), where the stamp and the ID are ([Source]). [Compile] checks it
// once and returns a [Scheme]. Keys are secrets ([NewKey]) or the sender's
// public keys ([NewPublicKey]); [Scheme.NewKey] makes the one that is needed.
//
// # How a request is judged
//
// [Scheme.Inspect] needs no body: it reads the signatures that are not in it
// and refuses what is malformed or stale before a byte of the body is read.
// [Scheme.Authenticate] reads those that are, computes the MACs and then judges
// the claims of a token and the stamps that the body holds. [Scheme.Verify] does both. Refusals are of type [*Error] and
// never hold a secret, a body or a signature.
package signature
