package report

import (
	"fmt"
	"strings"
)

// Plot draws the main table as SVG: CPU time and throughput of every variant, with a red
// line where its bar is.
func (r *Results) Plot() string {
	cells := r.Cells(Main)
	if len(cells) == 0 {
		return ""
	}
	cell := cells[0]
	rows := r.rows(cell)
	const (
		names, bar, value = 420, 220, 60 // widths
		line, top         = 24, 56
	)
	width := names + 2*(bar+value) + 20
	height := top + line*len(rows) + 16
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" font-family="sans-serif" font-size="13" role="img">`+"\n", width, height, width)
	fmt.Fprintf(&b, `<title>Requests per second and CPU time per request, %s bodies, %d connections</title>`+"\n", bytesText(int64(cell.Size)), cell.Conns)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	for i, part := range []struct {
		title, format, colour string
		m                     Measure
	}{
		{"CPU µs per request (less is better)", "%.0f", "#c8702a", CPU},
		{"requests per second (more is better)", "%.0f", "#2a78b8", Throughput},
	} {
		x := names + i*(bar+value)
		fmt.Fprintf(&b, `<text x="%d" y="28" font-weight="bold">%s</text>`+"\n", x, part.title)
		most := 0.0
		for _, v := range rows {
			most = max(most, r.Of(v.Name, cell, part.m).Max, targetOf(r, v.Name, cell, i == 1))
		}
		for j, v := range rows {
			y := top + j*line
			f := r.Of(v.Name, cell, part.m)
			scale := func(n float64) float64 { return n / max(most, 1) * bar }
			if i == 0 {
				fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", names-10, y+13, escape(v.Title))
			}
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="16" fill="%s"/>`, x, y, scale(f.Median), part.colour)
			// The spread of the rounds.
			fmt.Fprintf(&b, `<path d="M%.1f %dH%.1f" stroke="#222"/>`, float64(x)+scale(f.Min), y+8, float64(x)+scale(f.Max))
			if target := targetOf(r, v.Name, cell, i == 1); target > 0 {
				fmt.Fprintf(&b, `<path d="M%.1f %dv20" stroke="#c00" stroke-width="2"><title>the bar</title></path>`, float64(x)+scale(target), y-2)
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`+"\n", float64(x)+scale(f.Max)+6, y+13, f.text(part.format))
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func escape(text string) string {
	return strings.NewReplacer("`", "", "&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
