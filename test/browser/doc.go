// Package browser looks at the page of a running gateway in a real browser, Chromium, as
// operators do: with a mouse, with the keyboard alone, on a phone, without scripts, and as
// somebody who wants to do harm. `make test-full` runs it; `make deps-full` installs Chromium
// and axe-core.
//
// What the screens looked like is left in the folder shots, which git ignores. One of these is
// docs/page.png:
//
//	go test -tags full -run TestScreens . -args -picture ../../docs/page.png
package browser
