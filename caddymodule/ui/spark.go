package ui

import (
	"fmt"
	"slices"
	"strings"
)

// The size of a sparkline, in its own units.
const (
	sparkWidth  = 120
	sparkHeight = 24
)

// spark is a line through numbers, as SVG has it.
type spark struct {
	Width, Height int
	Points        string
	Last, Most    int64 // of the last number but one, which is of a whole minute; of all
}

// newSpark draws numbers of minutes, oldest first; the last minute is not over. It returns
// nil for none.
func newSpark(numbers []int64) *spark {
	if len(numbers) < 2 {
		return nil
	}
	s := &spark{Width: sparkWidth, Height: sparkHeight, Last: numbers[len(numbers)-2], Most: slices.Max(numbers)}
	points := make([]string, len(numbers))
	for i, n := range numbers {
		x := float64(sparkWidth) * float64(i) / float64(len(numbers)-1)
		y := float64(sparkHeight-2)*(1-float64(n)/float64(max(1, s.Most))) + 1
		points[i] = fmt.Sprintf("%.1f,%.1f", x, y)
	}
	s.Points = strings.Join(points, " ")
	return s
}
