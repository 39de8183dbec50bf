//go:build full

package main

import "testing"

// Simulations take a while, and longer where races are looked for.
func TestThePageIsOfTheSimulation(t *testing.T) {
	pageIsOfTheFigures(t, (*figures).simulated)
}
