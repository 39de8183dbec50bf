package testbed

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// plain is a gateway without a guard: what the testbed itself needs to work.
const plain = `
{
	admin 127.0.0.1:{$ADMIN}
	metrics
}
http://:{$PORT} {
	header Gateway {env.NAME}
	reverse_proxy {env.APP}
}
`

func TestGatewayForwards(t *testing.T) {
	t.Parallel()
	app := StartApp(t, nil)
	g := StartGateway(t, plain, WithEnv("NAME=first", "APP="+app.Addr()))
	resp := Do(t, post(t, g.URL("/hook?x=1"), "hello"))
	if resp.Status != http.StatusOK || resp.Header.Get("Gateway") != "first" {
		t.Fatalf("answer %v with %v", resp, resp.Header)
	}
	d := app.Deliveries()[0]
	if d.URL != "/hook?x=1" || string(d.Body) != "hello" {
		t.Fatalf("the app got %+v", d)
	}
	if err := g.Stop(); err != nil {
		t.Fatalf("stopped with %v", err)
	}
	if _, err := Try(post(t, g.URL("/"), "")); err == nil {
		t.Fatal("a stopped gateway answers")
	}
}

func TestGatewayKillAndStart(t *testing.T) {
	t.Parallel()
	app := StartApp(t, nil)
	g := StartGateway(t, plain, WithEnv("APP="+app.Addr()))
	g.Kill()
	if _, err := Try(post(t, g.URL("/"), "")); err == nil {
		t.Fatal("a killed gateway answers")
	}
	g.Start()
	if resp := Do(t, post(t, g.URL("/"), "")); resp.Status != http.StatusOK {
		t.Fatalf("after the restart: %v", resp)
	}
	// It answers before it says that it does.
	Eventually(t, waitLimit, func() bool { return strings.Count(g.Output(), "serving initial configuration") == 2 }, "both starts in the output")
}

func TestGatewayReload(t *testing.T) {
	t.Parallel()
	app := StartApp(t, nil)
	g := StartGateway(t, plain, WithEnv("NAME=x", "APP="+app.Addr()))
	changed := strings.Replace(plain, "header Gateway {env.NAME}", "header Gateway second", 1)
	if err := g.Reload(changed); err != nil {
		t.Fatal(err)
	}
	if resp := Do(t, post(t, g.URL("/"), "")); resp.Header.Get("Gateway") != "second" {
		t.Fatalf("still the old configuration: %v", resp.Header)
	}
	err := g.Reload("http://:{$PORT} {\n\tno_such_directive\n}\n")
	if err == nil || !strings.Contains(err.Error(), "no_such_directive") {
		t.Fatalf("a bad configuration got %v", err)
	}
	if resp := Do(t, post(t, g.URL("/"), "")); resp.Header.Get("Gateway") != "second" {
		t.Fatalf("a refused configuration replaced the one in force: %v", resp.Header)
	}
}

func TestGatewayFreeze(t *testing.T) {
	t.Parallel()
	app := StartApp(t, nil)
	g := StartGateway(t, plain, WithEnv("APP="+app.Addr()))
	g.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if resp, err := Try(post(t, g.URL("/"), "").WithContext(ctx)); err == nil {
		t.Fatalf("a frozen gateway answers %v", resp)
	}
	g.Thaw()
	if resp := Do(t, post(t, g.URL("/"), "")); resp.Status != http.StatusOK {
		t.Fatalf("thawed: %v", resp)
	}
}

func TestGatewayMetric(t *testing.T) {
	t.Parallel()
	app := StartApp(t, nil)
	g := StartGateway(t, plain, WithEnv("APP="+app.Addr()))
	const name = "caddy_http_request_duration_seconds"
	if value, found := g.Metric(name, "method", "POST"); found {
		t.Fatalf("%s is %v before any request", name, value)
	}
	for range 3 {
		Do(t, post(t, g.URL("/"), ""))
	}
	// Caddy counts a request after it has answered.
	Eventually(t, waitLimit, func() bool {
		value, _ := g.Metric(name, "method", "POST", "code", "200")
		return value == 3
	}, "three requests in "+name)
	if value, found := g.Metric("go_goroutines"); !found || value < 1 {
		t.Errorf("go_goroutines: %v, %v", value, found)
	}
	if _, found := g.Metric("no_such_metric"); found {
		t.Error("found a metric that does not exist")
	}
}

func TestGatewayKeepsOutOfTheUsersHome(t *testing.T) {
	t.Parallel()
	g := StartGateway(t, plain, WithEnv("APP=127.0.0.1:1"))
	if _, err := os.Stat(g.dir + "/config/caddy/autosave.json"); err != nil {
		t.Fatalf("the configuration was saved somewhere else: %v", err)
	}
}

func TestRunCaddy(t *testing.T) {
	t.Parallel()
	if out, err := RunCaddy(t, nil, "list-modules"); err != nil || !strings.Contains(out, "http.handlers.reverse_proxy\n") {
		t.Fatalf("list-modules: %v\n%s", err, out)
	}
	if out, err := RunCaddy(t, nil, "validate", "--config", "absent"); err == nil {
		t.Fatalf("a configuration that does not exist is valid:\n%s", out)
	}
}

func TestDisaster(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"==================\nWARNING: DATA RACE\nRead at": true,
		"INFO x\npanic: runtime error":                    true,
		"INFO x\nfatal error: concurrent map writes":      true,
		`{"msg":"a fatal error: no such file"}`:           false,
		"":                                                false,
	} {
		if got := disaster.MatchString(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
