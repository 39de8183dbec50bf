package signature

import (
	"strings"
	"testing"
)

// Beside a signed field stands nothing that some reader takes for it, at any level; other
// fields may.
func TestNothingLooksLikeASignedField(t *testing.T) {
	scheme := func(lines string) *Scheme {
		return mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{lines}})
	}
	const form, parts = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	part := func(head, value string) string { return "--b\r\n" + head + "\r\n\r\n" + value + "\r\n" }
	named := func(name string) string { return "Content-Disposition: form-data; name=\"" + name + "\"" }
	own := part(named("user_id"), "7")
	for name, test := range map[string]struct {
		template, contentType, body string
		refused                     bool
	}{
		"JSON":                        {"{body.data.risk}", "application/json", `{"data":{"risk":"low","other":1},"kind":2}`, false},
		"another level":               {"{body.data.risk}", "application/json", `{"risk":"high","data":{"risk":"low","x":{"risk":"high"}}}`, false},
		"upper case":                  {"{body.data.risk}", "application/json", `{"data":{"risk":"low","RISK":"high"}}`, true},
		"upper case around it":        {"{body.data.risk}", "application/json", `{"Data":{"risk":"high"},"data":{"risk":"low"}}`, true},
		"a long s":                    {"{body.data.risk}", "application/json", `{"data":{"risk":"low","riſk":"high"}}`, true},
		"a Kelvin sign":               {"{body.data.risk}", "application/json", `{"data":{"risk":"low","ris\u212a":"high"}}`, true},
		"a dotless i":                 {"{body.data.risk}", "application/json", `{"data":{"risk":"low","rısk":"high"}}`, true},
		"a zero byte":                 {"{body.data.risk}", "application/json", `{"data":{"risk":"low","risk\u0000x":"high"}}`, true},
		"escaped":                     {"{body.data.risk}", "application/json", `{"data":{"risk":"low","\u0072isk":"high"}}`, true},
		"only a like one":             {"{body.data.risk}{body.data.more|optional}", "application/json", `{"data":{"risk":"low","More":"x"}}`, true},
		"a list":                      {"{body.list.0.risk}", "application/json", `{"list":[{"risk":"low","Risk":"high"}]}`, true},
		"half of a character":         {"{body.data.risk}", "application/json", `{"data":{"risk":"\ud800"}}`, true},
		"a whole one":                 {"{body.data.risk}", "application/json", `{"data":{"risk":"\ud83d\ude00"}}`, false},
		"bytes that are not UTF-8":    {"{body.data.risk}", "application/json", "{\"data\":{\"risk\":\"low\"},\"x\":\"\xff\"}", true},
		"an overlong character":       {"{body.data.risk}", "application/json", "{\"data\":{\"risk\":\"low\",\"\xc1\xb2isk\":\"high\"}}", true},
		"JSON in a form, not UTF-8":   {"{form_json.my_data.risk}", form, "my_data=%7B%22risk%22:1,%22x%22:%22%ff%22%7D", true},
		"no type":                     {"{body.data.risk}", "", `{"data":{"risk":"low"}}`, false},
		"a type of one's own":         {"{body.data.risk}", "application/vnd.x+json; charset=UTF-8", `{"data":{"risk":"low"}}`, false},
		"called a form":               {"{body.data.risk}", form, `{"data":{"risk":"low","x":"&data[risk]=high"}}`, true},
		"called XML":                  {"{body.data.risk}", "text/xml", `{"data":{"risk":"low"}}`, true},
		"called YAML":                 {"{body.data.risk}", "application/x-yaml", `{"data":{"risk":"low"}}`, true},
		"in another charset":          {"{body.data.risk}", "application/json; charset=utf-7", `{"data":{"risk":"low"}}`, true},
		"a form":                      {"{form.user_id}", form, "user_id=7&other=1&user_idx=2&id=3", false},
		"a dot":                       {"{form.user_id}", form, "user_id=7&user.id=8", true},
		"a space":                     {"{form.user_id}", form, "user_id=7&user+id=8", true},
		"a space before":              {"{form.user_id}", form, "user_id=7&%20user_id=8", true},
		"a list in a form":            {"{form.user_id}", form, "user_id=7&user_id[]=8", true},
		"an object in a form":         {"{form.user_id}", form, "user_id=7&user_id[a][b]=8", true},
		"a bracket":                   {"{form.user_id}", form, "user_id=7&user%5bid=8", true},
		"upper case in a form":        {"{form.user_id}", form, "user_id=7&User_Id=8", true},
		"a zero byte in a form":       {"{form.user_id}", form, "user_id=7&user_id%00x=8", true},
		"a semicolon":                 {"{form.user_id}", form, "user_id=7&x=1;user_id=8", true},
		"what cannot be decoded":      {"{form.user_id}", form, "user_id=7&user_id%00%zz=8", true},
		"a name of a kilobyte":        {"{form.user_id}", form, "user_id=7&" + strings.Repeat("x", maxName) + "=8", false},
		"a name of more":              {"{form.user_id}", form, "user_id=7&" + strings.Repeat("[", maxName+1) + "=8", true},
		"twice":                       {"{form.user_id}", form, "user_id=7&user_id=7", true},
		"a form that is called JSON":  {"{form.user_id}", "application/json", "user_id=7", true},
		"a form that is called parts": {"{form.user_id}", parts, "user_id=7", true},
		"a field of a list":           {"{form.data[user][id]}", form, "data[user][id]=7&data[user][name]=x", false},
		"that field, in other words":  {"{form.data[user][id]}", form, "data[user][id]=7&data[user][ID]=8", true},
		"what is around that field":   {"{form.data[user][id]}", form, "data[user][id]=7&data[user]=8", true},
		"parts":                       {"{form.user_id}", parts, own + part(named("x"), "8") + "--b--\r\n", false},
		"a part like it":              {"{form.user_id}", parts, own + part(named("user.id"), "8") + "--b--\r\n", true},
		"two names":                   {"{form.user_id}", parts, own + part(named("x")+`; name="user_id"`, "8") + "--b--\r\n", true},
		"a name with a star":          {"{form.user_id}", parts, own + part("Content-Disposition: form-data; name*=UTF-8''user_id", "8") + "--b--\r\n", true},
		"two dispositions":            {"{form.user_id}", parts, own + part(named("x")+"\r\n"+named("user_id"), "8") + "--b--\r\n", true},
		"an encoded part":             {"{form.user_id}", parts, part(named("user_id")+"\r\nContent-Transfer-Encoding: base64", "7") + "--b--\r\n", true},
		"a part sent as it is":        {"{form.user_id}", parts, part(named("user_id")+"\r\nContent-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit", "7") + "--b--\r\n", false},
		"a part encoded twice":        {"{form.user_id}", parts, part(named("user_id")+"\r\nContent-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64", "7") + "--b--\r\n", true},
		"another boundary":            {"{form.user_id}", "multipart/form-data; boundary=c", own + "--b--\r\n", true},
		"parts that are called forms": {"{form.user_id}", form, own + "--b--\r\n", true},
		"a part in another charset":   {"{form.user_id}", parts, part(named("user_id")+"\r\nContent-Type: text/plain; charset=utf-16", "7") + "--b--\r\n", true},
		"a part of two types":         {"{form.user_id}", parts, part(named("user_id")+"\r\nContent-Type: text/plain\r\nContent-Type: text/plain; charset=utf-7", "7") + "--b--\r\n", true},
		"a part in UTF-8":             {"{form.user_id}", parts, part(named("user_id")+"\r\nContent-Type: text/plain; charset=UTF-8", "7") + part(named("f")+`; filename="C:\x.pdf"`+"\r\nContent-Type: application/pdf", "8") + "--b--\r\n", false},
		"an escaped name":             {"{form.user_id}", parts, own + part(`Content-Disposition: form-data; name="user\_id"`, "8") + "--b--\r\n", true},
		"parts behind the end":        {"{form.user_id}", parts, own + "--b--\r\n" + own + "--b--\r\n", true},
		"text behind the end":         {"{form.user_id}", parts, own + "--b--\r\n&user_id=8", true},
		"no end":                      {"{form.user_id}", parts, own, true},
		"a part after a line feed":    {"{form.user_id}", parts, part(named("x"), "\n--b\n"+named("user_id")+"\n\n8\n") + own + "--b--\r\n", true},
		"a part after a CR":           {"{form.user_id}", parts, part(named("x"), "\r--b\r"+named("user_id")+"\r\r8\r") + own + "--b--\r\n", true},
		"a boundary within a line":    {"{form.user_id}", parts, part(named("x"), "8--b\r\n"+named("user_id")+"\r\n\r\n8") + own + "--b--\r\n", true},
		"a longer boundary":           {"{form.user_id}", parts, own + "--bb\r\n" + named("user_id") + "\r\n\r\n8\r\n--b--\r\n", true},
		"a space after a boundary":    {"{form.user_id}", parts, own + "--b \r\n" + named("x") + "\r\n\r\n8\r\n--b--\r\n", true},
		"an end in the middle":        {"{form.user_id}", parts, part(named("x"), "\n--b--\n") + own + "--b--\r\n", true},
		"a head that ends early":      {"{form.user_id}", parts, "--b\r\n" + named("x") + "\n\n" + named("user_id") + "\r\n\r\n8\r\n" + own + "--b--\r\n", true},
		"lines of line feeds":         {"{form.user_id}", parts, strings.ReplaceAll(own+"--b--\r\n", "\r\n", "\n"), true},
		"a head in two lines":         {"{form.user_id}", parts, part("Content-Disposition: form-data;\r\n name=\"user_id\"", "7") + "--b--\r\n", true},
		"a zero byte in a head":       {"{form.user_id}", parts, own + part(named("x\x00"), "8") + "--b--\r\n", true},
		"text before the parts":       {"{form.user_id}", parts, "\r\n" + own + "--b--\r\n", false},
		"a disposition of kilobytes":  {"{form.user_id}", parts, own + part(named("x")+"; filename=\""+strings.Repeat("x", 4*maxName)+"\"", "8") + "--b--\r\n", true},
		"no value at all":             {"{form.user_id}", parts, own + "--b\r\n" + named("x") + "\r\n\r\n--b--\r\n", true},
		"an empty value":              {"{form.user_id}", parts, own + part(named("x"), "") + "--b--\r\n", false},
		"lines in a value":            {"{form.user_id}", parts, own + part(named("x"), "a\nb\r\n\r\nc--\r\n--c") + "--b--", false},
		"a file beside it":            {"{form.user_id}", parts, own + part(named("x")+`; filename="name=user_id"`, "8") + "--b--\r\n", true},
		"JSON in a form":              {"{form_json.my_data.risk}", form, "my_data=%7B%22risk%22:1%7D&x=1", false},
		"JSON twice":                  {"{form_json.my_data.risk}", form, "my_data=%7B%22risk%22:1%7D&my.data=1", true},
		"upper case in that JSON":     {"{form_json.my_data.risk}", form, "my_data=%7B%22risk%22:1,%22Risk%22:2%7D", true},
	} {
		r := testRequest("POST", "https://example.com/", test.body)
		if r.Header["Content-Type"] = []string{test.contentType}; test.contentType == "" {
			delete(r.Header, "Content-Type")
		}
		err := checkFields(scheme(test.template).signed[0].(*templateContent).fields, r)
		if (err != nil) != test.refused {
			t.Errorf("%s: %s: %v", name, test.body, err)
		}
		if err != nil && strings.Contains(err.Error(), "high") {
			t.Errorf("%s: the refusal holds a part of the body: %v", name, err)
		}
	}
}

// A body that is signed as a whole is read behind the mark that some writers of UTF-8 put
// before it.
func TestJSONBehindAByteOrderMark(t *testing.T) {
	for path, want := range map[string]string{"id": "7", `a\|b`: "8", "none": ""} {
		if v := jsonValue([]byte("\ufeff"+`{"id":7,"a|b":"8"}`), path); v.Text != want {
			t.Errorf("%s: %+v, want %q", path, v, want)
		}
	}
	if v := jsonValue([]byte("\ufeff\ufeff"+`{"id":7}`), "id"); v.Found {
		t.Errorf("behind two of them: %+v", v)
	}
}

// A header that is not signed has no app decode what the guard did not.
func TestAPartlySignedBodyIsNotDecoded(t *testing.T) {
	for encoding, refused := range map[string]bool{
		"": false, "identity": false, "Identity": false, "UTF-8": false, "gzip": true, "x-gzip": true, "deflate": true, "br": true, "zstd": true, "aws-chunked": true, "identity, deflate": true, "identity,identity": true,
	} {
		for template, body := range map[string]string{"{body.a}": `{"a":"1"}`, "{form.a}": "a=1", "{form_json.a.b}": `a={"b":1}`, "{form_sorted}": "a=1", "{body}": "a=1"} {
			scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{template}})
			r := testRequest("POST", "https://example.com/", body)
			if r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}; template == "{body.a}" {
				r.Header["Content-Type"] = []string{"application/json"}
			}
			if err := scheme.Sign(r, testKey(t, "k"), testNow, ""); err != nil {
				t.Fatal(err)
			}
			for _, values := range [][]string{{encoding}, {"identity", encoding}} {
				r.Header["Content-Encoding"] = values
				_, err := scheme.Verify(r, []Secret{{Key: testKey(t, "k")}}, vectorWindow, testNow)
				if refused && template != "{body}" {
					wantReason(t, err, SignatureMalformed)
				} else if err != nil {
					t.Errorf("%s, %q: %v", template, values, err)
				}
			}
		}
	}
}

// A query has nothing that an app could take for a signed key, or for a signed field of a
// form: some read both as one.
func TestNothingInTheQueryLooksSigned(t *testing.T) {
	for _, test := range []struct {
		template, query string
		refused         bool
	}{
		{"{query.user_id}{body}", "user_id=7&x=1", false},
		{"{query.user_id}{body}", "user_id=7&user.id=8", true},
		{"{query.user_id}{body}", "user_id[]=8&user_id=7", true},
		{"{query.user_id}{body}", "user_id=7&USER_ID=8", true},
		{"{query.user_id}{body}", "user_id=7&x=1;user_id=8", true},
		{"{query.user_id}{body}", "%75ser_id=7", false},
		{"{query.user_id}{uri}{body}", "user_id=7&user.id=8", false},
		{"{form.user_id}", "x=1", false},
		{"{form.user_id}", "user_id=8", true},
		{"{form.user_id}", "user.id=8", true},
		{"{form.user_id}", "x=1;y&user.id=8", true},
		{"{form.user_id}", "", false},
		{"{form_json.user_id.x}", "user_id=8", true},
		{"{form.user_id}{query}", "user_id=8", false},
		{"{body}", "user_id=8;x", false},
		{"{body.user_id}", "user_id=8", false},
	} {
		r := testRequest("POST", "https://example.com/?"+test.query, "")
		scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{test.template}})
		if err := checkQuery(scheme.signed[0].(*templateContent), r); (err != nil) != test.refused {
			t.Errorf("%s, ?%s: %v", test.template, test.query, err)
		}
	}
}

// Texts that JSON can write and UTF-8 cannot stay apart, or two events would have one ID.
func TestHalvesOfCharactersStayApart(t *testing.T) {
	seen := make(map[string]string)
	for _, text := range []string{
		`\ud800`, `\ud801`, `\udfff`, `\ufffd`, `\uD800x`, `x\ud800`, `\ud800\ud800`, `\udc00\ud800`, `\ud800\udc00`, `\ud800\\udc00`, `\\ud800`, `\ud800\n`, "é\\ud800\\u00e9", `\ud800\u0041`, `\ud8`, "\ufffd\\ud800",
	} {
		v := jsonValue([]byte(`{"id":"`+text+`"}`), "id")
		if other, taken := seen[v.Text]; taken && text != `\ufffd` {
			t.Errorf("%s and %s are one ID, %q", text, other, v.Text)
		}
		seen[v.Text] = text
	}
	for text, want := range map[string]string{`a\ud83d\ude00b`: "a😀b", `\u00e9`: "é", "\ufffd": "\ufffd", `\ufffd`: "\ufffd", `a\"\ud800\n`: "a\"\xed\xa0\x80\n"} {
		if v := jsonValue([]byte(`{"id":"`+text+`"}`), "id"); v.Text != want {
			t.Errorf("%s: %q, want %q", text, v.Text, want)
		}
	}
}
