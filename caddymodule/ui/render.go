package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

// page is what every template gets.
type page struct {
	Title string
	// Live refreshes the part of the screen that has the ID live, where scripts run.
	Live bool
	// Message says what a change has done.
	Message string
	// Data is the screen's own.
	Data any

	// Filled in by render.
	Screen, Root, Banner, User, Token string
	ReadOnly, Stopped                 bool
	Self, Toggle                      string // URLs of this screen
	Now                               time.Time
}

//go:embed templates
var templateFiles embed.FS

// templates are the screens by name. Each is the layout with a main part of its own.
var templates = sync.OnceValue(func() map[string]*template.Template {
	parsed := make(map[string]*template.Template)
	layout := template.Must(template.New("layout.html").Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err) // they are embedded
	}
	for _, entry := range entries {
		name, isScreen := strings.CutSuffix(entry.Name(), ".html")
		if isScreen && name != "layout" && name != "parts" {
			parsed[name] = template.Must(template.Must(layout.Clone()).ParseFS(templateFiles, "templates/"+entry.Name()))
		}
	}
	return parsed
})

// render sends a screen.
func (v *visit) render(status int, name string, p page) {
	v.complete(name, &p)
	var b bytes.Buffer
	if err := templates()[name].ExecuteTemplate(&b, "layout.html", p); err != nil {
		v.logger.Error("a screen cannot be made: " + err.Error())
		http.Error(v.w, "The screen cannot be made: the gateway's log says why.", http.StatusInternalServerError)
		return
	}
	sendHeader(v.w, status)
	_, _ = v.w.Write(b.Bytes()) // the user may have gone
}

// stream sends a screen as it comes about.
func (v *visit) stream(name string, p page) {
	v.complete(name, &p)
	sendHeader(v.w, http.StatusOK)
	_ = templates()[name].ExecuteTemplate(v.w, "layout.html", p) // the user may have gone
}

// sendHeader begins the answer that is a screen.
func sendHeader(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
}

// complete fills in what all screens have.
func (v *visit) complete(name string, p *page) {
	p.Screen, p.Banner, p.ReadOnly, p.User, p.Now = name, v.Banner, v.ReadOnly, v.user(), v.now
	p.Root = strings.Repeat("../", strings.Count(v.path, "/")-1) + "./"
	if !v.ReadOnly {
		p.Token = v.token()
	}
	query := v.r.URL.Query()
	p.Stopped = query.Get("live") == "off"
	p.Self = selfURL(v.path, query)
	if p.Stopped {
		query.Del("live")
	} else {
		query.Set("live", "off")
	}
	p.Toggle = selfURL(v.path, query)
}

// selfURL is the relative URL of a screen, without what only one visit has.
func selfURL(at string, query url.Values) string {
	query.Del("did")
	query.Del("n")
	query.Del("of")
	name := "./" + path.Base(at)
	if at == "/" {
		name = "./"
	}
	if len(query) == 0 {
		return name
	}
	return name + "?" + query.Encode()
}

// functions are those of the templates.
var functions = template.FuncMap{
	"visible": visible,
	"short":   func(text string) string { return shorten(visible(text), 64) },
	"ago":     ago,
	"stamp":   stamp,
	"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"size":    formatSize,
	"took":    formatTook,
	"brief":   func(d time.Duration) string { return d.Round(time.Millisecond).String() },
	"seconds": func(n int64) string { return roughly(time.Duration(n) * time.Second) },
	"link":    link,
	"count":   func(n int64, noun string) string { return plural(n, noun) },
	"spark":   newSpark,
	"state":   func(name string) string { return stateWords[name] },
}

// stateWords say what the states of events mean.
var stateWords = map[string]string{
	"ready": "ready", "delayed": "retrying", "leased": "with the app", "dead": "dead", "done": "done",
}

// link is the URL of a screen with the given query: names and values in turns. Empty values
// are left out.
func link(root, screen string, pairs ...string) string {
	query := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	if len(query) == 0 {
		return root + screen
	}
	return root + screen + "?" + query.Encode()
}

// stamp is a time for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// ago is how long before or after now a time is.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	if d < 0 {
		return "in " + roughly(-d)
	}
	return roughly(d) + " ago"
}

func roughly(d time.Duration) string {
	switch {
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", int64(d.Seconds()))
	case d < 100*time.Minute:
		return fmt.Sprintf("%d min", int64(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int64(d.Hours()))
	}
	return fmt.Sprintf("%d days", int64(d.Hours()/24))
}

func formatTook(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Millisecond {
		return "under 1 ms"
	}
	return d.Round(time.Millisecond).String()
}

func formatSize(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1<<10 && unit < len(units)-1 {
		value, unit = value/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
