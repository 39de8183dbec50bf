// Package signature decides whether a webhook was really sent by its provider
// and is fresh, and signs requests the way a provider does.
//
// Its results depend only on its arguments: the facts of a request, the secrets
// in force, a window and the time. It reads no clock, opens no files and knows
// no HTTP server, so every rule in it can be tested with a table.
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
// [Scheme.Authenticate] reads those that are, computes the MACs and then checks
// the claims of a token and the stamps in the body. [Scheme.Verify] does both.
// Refusals are of type [*Error] and never hold a secret, a body or a signature.
//
// # How the files are ordered
//
// Each file uses only those below it. At the bottom are request.go, json.go,
// form.go and source.go, then placeholder*.go, template*.go and borders*.go, then key*.go,
// format*.go and the content*.go that write what is signed. scheme.go is what
// compile*.go makes of spec.go, and what verify*.go and sign*.go read.
package signature
