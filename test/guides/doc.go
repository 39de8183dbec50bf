// Package guides runs docs/guides as its readers do: each page in an empty directory, with
// its files written, its programs started and its commands run, and what they print held
// against what the page says.
//
// HTML comments in a page, which no reader sees, say what a block is:
//
//	<!-- file: NAME -->      the block is written to a file
//	<!-- start: PORT -->     the commands go on until the page's end, and listen on the port
//	<!-- prints: PORT -->    the block is printed by what was started on the port
//	<!-- exit: STATUS -->    the commands end with this status, not with 0
//	<!-- shown: REASON -->   the block is not run
//
// and, on lines of their own,
//
//	<!-- ports: PORT… -->         each stands for a free port of the machine
//	<!-- python: MODULE… -->      python3 is one that has the modules
//	<!-- start PORT: COMMAND -->  started, and not shown
//	<!-- run: COMMAND -->         run, and not shown
//	<!-- full -->                 the page takes more than `make test` installs
//
// A block `text` is what the commands before it print. In it `…` stands for anything, and a
// line of it alone for any lines. Blocks `caddyfile` without a comment are loaded by
// test/e2e, as those of all other documents are.
package guides
