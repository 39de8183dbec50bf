//go:build full

package examples_test

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// curve is one series of a panel.
type curve struct {
	name   string
	points [][2]float64 // seconds from the start, value
}

// ranged asks for a query over the time from then to now.
func (p prometheus) ranged(query, legend string, from time.Time) (curves []curve) {
	p.t.Helper()
	var data struct {
		Result []struct {
			Metric map[string]string
			Values [][2]any
		}
	}
	seconds := func(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
	p.get("/api/v1/query_range", url.Values{"query": {query}, "start": {seconds(from)}, "end": {seconds(time.Now())}, "step": {"1"}}, &data)
	for _, series := range data.Result {
		c := curve{name: regexp.MustCompile(`{{(\w+)}}`).ReplaceAllStringFunc(legend, func(label string) string {
			return series.Metric[strings.Trim(label, "{}")]
		})}
		for _, v := range series.Values {
			at, _ := v[0].(float64)
			text, _ := v[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if err == nil && !math.IsNaN(value) && !math.IsInf(value, 0) {
				c.points = append(c.points, [2]float64{at - float64(from.Unix()), value})
			}
		}
		if len(c.points) > 0 {
			curves = append(curves, c)
		}
	}
	return curves
}

const (
	panelWidth, panelHeight = 400, 236
	plotLeft, plotTop       = 52, 34
	plotWidth, plotHeight   = panelWidth - plotLeft - 16, 120
	mostCurves              = 6
)

var colours = []string{"#2a78b8", "#c8702a", "#3a9a4a", "#b8342a", "#7a52b0", "#888888"}

// draw makes a picture of the dashboard, from the time given on.
func draw(p prometheus, panels []panel, from time.Time) string {
	const columns = 3
	rows := (len(panels) + columns - 1) / columns
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" font-family="sans-serif" font-size="11" role="img">`+"\n",
		columns*panelWidth, rows*panelHeight, columns*panelWidth)
	b.WriteString("<title>The dashboard of two gateways in trouble</title>\n" + `<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	for i, panel := range panels {
		var curves []curve
		for _, target := range panel.Targets {
			curves = append(curves, p.ranged(target.Expr, target.LegendFormat, from)...)
		}
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%columns*panelWidth, i/columns*panelHeight)
		plot(&b, panel, curves, time.Since(from).Seconds())
		b.WriteString("</g>\n")
	}
	return b.String() + "</svg>\n"
}

// plot draws one panel: the largest curves, and how many others there are.
func plot(b *strings.Builder, p panel, curves []curve, span float64) {
	highest := func(c curve) float64 {
		return slices.MaxFunc(c.points, func(x, y [2]float64) int { return cmp.Compare(x[1], y[1]) })[1]
	}
	slices.SortStableFunc(curves, func(x, y curve) int { return cmp.Compare(highest(y), highest(x)) })
	if len(curves) > mostCurves {
		curves = slices.DeleteFunc(curves, func(c curve) bool { return highest(c) == 0 })
	}
	low, high := 0.0, 0.0
	for _, c := range curves {
		for _, at := range c.points {
			low, high = min(low, at[1]), max(high, at[1])
		}
	}
	if high == low {
		high++
	}
	fmt.Fprintf(b, `<text x="12" y="20" font-size="13" font-weight="bold">%s</text>`+"\n", html.EscapeString(p.Title))
	for _, part := range []float64{0, 0.5, 1} {
		y := plotTop + plotHeight*(1-part)
		fmt.Fprintf(b, `<path d="M%d %.0fh%d" stroke="#ddd"/><text x="%d" y="%.0f" text-anchor="end">%s</text>`+"\n",
			plotLeft, y, plotWidth, plotLeft-6, y+4, valueText(low+part*(high-low), p.FieldConfig.Defaults.Unit))
	}
	for i, c := range curves[:min(mostCurves, len(curves))] {
		var path strings.Builder
		for _, at := range c.points {
			fmt.Fprintf(&path, "%.0f,%.1f ", plotLeft+plotWidth*at[0]/span, plotTop+plotHeight*(1-(at[1]-low)/(high-low)))
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.TrimSpace(path.String()), colours[i])
		x, y := plotLeft+i%2*170, plotTop+plotHeight+20+i/2*15
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="10" height="3" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n", x, y-5, colours[i], x+14, y, html.EscapeString(shortened(c.name)))
	}
	if more := len(curves) - mostCurves; more > 0 {
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="#666">and %d more</text>`+"\n", plotLeft, plotTop+plotHeight+20+3*15, more)
	}
}

func shortened(name string) string {
	if len(name) > 26 {
		return name[:25] + "…"
	}
	return name
}

// valueText writes a value of an axis in Grafana's unit.
func valueText(v float64, unit string) string {
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
	switch {
	case unit == "s" && math.Abs(v) >= 7200:
		return text(v/3600) + " h"
	case unit == "s" && v != 0 && math.Abs(v) < 1:
		return text(v*1000) + " ms"
	case unit == "s":
		return text(v) + " s"
	case unit == "percentunit":
		return text(v*100) + " %"
	case unit == "reqps", unit == "ops":
		return text(v) + "/s"
	case unit == "bytes":
		return text(v) + " B"
	}
	return text(v)
}
