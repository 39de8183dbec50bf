package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
)

// adminFlags say where the running gateway is asked, as for Caddy's own commands.
type adminFlags struct {
	address string
	config  configFlags // names the address where that is not given
}

// add adds the flags. uses ends the help of --config: what else that is read for.
func (f *adminFlags) add(cmd *cobra.Command, uses string) {
	flags := cmd.Flags()
	flags.StringVar(&f.address, "address", "", "the admin API's address; default: the configuration's, or localhost:2019")
	flags.StringVar(&f.config.file, "config", "", "the configuration file that names the address"+uses)
	flags.StringVar(&f.config.adapter, "adapter", "", "the configuration's adapter")
}

// find returns the address of the admin API. Caddy's own function for it logs what it reads.
func (f *adminFlags) find() (string, error) {
	if f.address != "" || f.config.file == "" {
		return cmp.Or(f.address, caddy.DefaultAdminListen), nil
	}
	text, err := f.config.read()
	if err != nil {
		return "", err
	}
	if gjson.GetBytes(text, "admin.disabled").Bool() {
		return "", errors.New("it turns the admin API off (admin off), which these commands ask")
	}
	listen := gjson.GetBytes(text, "admin.listen").String()
	if placeholder.Parse(listen).Varies() {
		if listen, err = placeholder.Resolve(listen); err != nil {
			return "", fmt.Errorf("admin: %w: name the address with --address", err)
		}
	}
	return cmp.Or(listen, caddy.DefaultAdminListen), nil
}

// ask asks the running gateway. A body that is not nil is sent as JSON, and the answer is
// read into a value.
func (f *adminFlags) ask(method, path string, body, into any) error {
	if strings.Contains(f.address, "://") {
		return fmt.Errorf("--address: %q: write host:port or unix/<path>, without a scheme", f.address)
	}
	address, err := f.find()
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	var sent io.Reader
	header := http.Header{}
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(encoded)
		header.Set("Content-Type", "application/json")
	}
	resp, err := caddycmd.AdminAPIRequest(address, method, path, header, sent)
	if err != nil {
		return unwanted(fmt.Errorf("asking the gateway at %s: %w", address, adviceOnAdmin(err)))
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return unwanted(fmt.Errorf("reading the answer of %s: %w: is that the address of the admin API?", address, err))
	}
	return nil
}
