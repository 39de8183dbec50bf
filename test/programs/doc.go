// Package programs lets real senders deliver through a running gateway: Alertmanager,
// Docker Registry, Gitea, LiveKit and Miniflux, each as its users run it. `make test-full`
// runs it. Nothing here signs or builds a request: what a program sends, and what it does
// when the app fails, is what its entry in the catalogue has to say.
package programs
