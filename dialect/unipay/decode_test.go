package unipay

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

const testLimit = 64 << 10

// flat lists what a request says, for comparison: name=value, name=null and
// name={} for something nested.
func flat(f Fields) []string {
	var list []string
	for _, name := range f.Names() {
		fd, _ := f.lookup(name)
		switch fd.kind {
		case plainField:
			list = append(list, name+"="+fd.value)
		case nullField:
			list = append(list, name+"=null")
		case nestedField:
			list = append(list, name+"={}")
		}
	}
	return list
}

func request(method, path, contentType, body string) *http.Request {
	r := httptest.NewRequest(method, "/api/v01/"+path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func understand(t *testing.T, r *http.Request) Call {
	t.Helper()
	call, err := ParseCall(r.Method, r.URL)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return call
}

func sample(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The five requests of the published sample 3 say the same in every format, and
// each can be sent in every way that the sample or a client's library may
// choose.
func TestPublishedSample(t *testing.T) {
	tests := []struct {
		file, method, path string
		want               []string
	}{
		{"1-customer", "PUT", "customers/~create", []string{
			"code=customer1", "accountId=2001", "firstName=John", "lastName=Smith",
			"organizationName=Organization LLC", "email=jsmith@mail.com", "phone=2129856472",
			"isActive=true", "street1=12 Main St", "street2=5th Ave", "city=New York",
			"countryCode=US", "state=NY", "zipCode=31904",
		}},
		{"2-payment-option", "PUT", "customers/*customer1/payment-options/~create", []string{
			"code=account1", "type=BC", "accountNumber=4099999992", "accountAccessory=021000021",
			"isActive=true", "csc=111", "street1=233 12th Street", "street2=5th Ave",
			"city=New Yor", "countryCode=US", "state=NY", "zipCode=11111",
		}},
		{"3-subscription", "PUT", "customers/*customer1/subscriptions/~create", []string{
			"code=subscription1", "amount=1999", "firstBillingDate=2020-01-01",
			"note=Perpetual subscription", "paymentOptionId=account1",
			"planId=*standard_monthly", "type=P",
		}},
		{"4-invoice", "PUT", "customers/*customer1/transactions/~create", []string{
			"code=invoice1", "type=RI", "amount=1999",
		}},
		{"5-payment", "POST", "customers/*customer1/transactions/~process", []string{
			"holderName=John Smith", "accountNumber=4111111111111111", "accountAccessory=0422",
			"csc=999", "street=233 12th Street", "city=New York", "state=NY", "zipCode=31909",
			"email=test@yahoo.com", "type=AP", "accountType=VC", "amount=1999",
			"note=payment for downpayment",
		}},
	}
	formats := map[string]Format{"json": JSON, "xml": XML, "form": XURL, "query": 0}
	for _, tt := range tests {
		jsonBody := sample(t, "sample3/"+tt.file+".json")
		xmlBody := sample(t, "sample3/"+tt.file+".xml")
		form := sample(t, "sample3/"+tt.file+".xurl")
		requests := map[string]*http.Request{
			"json":                request(tt.method, tt.path, "application/json", jsonBody),
			"json charset":        request(tt.method, tt.path, "application/json; charset=UTF-8", jsonBody),
			"json sniffed":        request(tt.method, tt.path, "", jsonBody),
			"json with mark":      request(tt.method, tt.path, "text/json", "\ufeff"+jsonBody),
			"xml":                 request(tt.method, tt.path, "application/xml", xmlBody),
			"xml text":            request(tt.method, tt.path, "text/xml;charset=utf-8", xmlBody),
			"xml sniffed":         request(tt.method, tt.path, "", xmlBody),
			"xml declared":        request(tt.method, tt.path, "text/xml", `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+xmlBody),
			"xml with mark":       request(tt.method, tt.path, "text/xml", "\ufeff"+xmlBody),
			"form":                request(tt.method, tt.path, "application/x-www-form-urlencoded", form),
			"form from a file":    request(tt.method, tt.path, "application/x-www-form-urlencoded", form+"\r\n"),
			"form sniffed":        request(tt.method, tt.path, "", form),
			"form ends with &":    request(tt.method, tt.path, "", form+"&"),
			"query":               request(tt.method, tt.path+"?"+form, "", ""),
			"query and JSON type": request(tt.method, tt.path+"?"+form, "application/json", ""),
			"form and query":      request(tt.method, tt.path+"?"+form, "application/x-www-form-urlencoded", form),
			"JSON and same query": request(tt.method, tt.path+"?"+form, "application/json", jsonBody),
			"XML and a bit of it": request(tt.method, tt.path+"?"+form[:strings.Index(form, "&")], "text/xml", xmlBody),
			"xml of hidden size":  request(tt.method, tt.path, "text/xml", xmlBody),
		}
		requests["xml of hidden size"].ContentLength = -1
		for name, r := range requests {
			t.Run(tt.file+"/"+name, func(t *testing.T) {
				fields, format, err := Decode(r, understand(t, r), testLimit)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, flat(fields)); diff != "" {
					t.Errorf("fields (-want +got):\n%s", diff)
				}
				want := formats[strings.ToLower(strings.Fields(name)[0])]
				if format != want {
					t.Errorf("format is %s, want %s", format, want)
				}
			})
		}
	}
}

// The published sample of an answer can be sent back as a request: what is
// nested in it is noted and ignored, in all three formats.
func TestAnswerAsRequest(t *testing.T) {
	form := strings.TrimPrefix(sample(t, "transaction/sample.xurl"), "?")
	var all [][]string
	for _, body := range []string{
		sample(t, "transaction/sample.json"), sample(t, "transaction/sample.xml"), form,
	} {
		r := request("PUT", "customers/1/transactions", "", body)
		fields, _, err := Decode(r, understand(t, r), testLimit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, flat(fields))
	}
	want := []string{
		"id=", "code=", "accountId=", "customerId=", "createDate=", "dueDate=", "type=",
		"accountType=", "creatorCode=", "amount=", "balance=", "accountNumber=", "note=",
		"adjustmentId=", "processingInfo={}",
	}
	for i := range all {
		if diff := cmp.Diff(want, all[i]); diff != "" {
			t.Errorf("%d (-want +got):\n%s", i, diff)
		}
	}
}

func TestDecodeTolerates(t *testing.T) {
	const path = "customers/1/transactions"
	tests := []struct {
		name, query, contentType, body string
		want                           []string
	}{
		{"native JSON", "", "", `{"amount":1999,"big":12345678901234567890,"exact":0.10,"isActive":true,"x":false}`,
			[]string{"amount=1999", "big=12345678901234567890", "exact=0.10", "isActive=true", "x=false"}},
		{"null is not given", "", "", `{"note":null,"amount":"5"}`, []string{"note=null", "amount=5"}},
		{"null gives way to the query", "note=x", "", `{"note":null}`, []string{"note=x"}},
		{"nested junk", "", "", `{"a":{"b":[{"c":1}]},"d":[1,2]}`, []string{"a={}", "d={}"}},
		{"empty object", "", "", ` {} `, nil},
		{"escapes", "", "", `{"note":"caf\u00e9 \ud83d\ude00 \"q\" \/"}`, []string{`note=café 😀 "q" /`}},
		{"no body", "", "application/json", " \r\n", nil},
		{"unknown type without a body", "", "text/plain", "", nil},

		{"child elements", "", "", `<transaction amount="5"><processingInfo id="1"><a/></processingInfo><list/><list/></transaction>`,
			[]string{"amount=5", "processingInfo={}", "list={}"}},
		{"text in ignored children", "", "", `<transaction amount="5"><x>hello</x></transaction>`, []string{"amount=5", "x={}"}},
		{"comments", "", "", `<!-- a --><transaction><!-- b --></transaction><!-- c -->`, nil},
		{"entities and character references", "", "", `<transaction note="&lt;&amp;&quot;&#233;&#x1F600;"/>`, []string{`note=<&"é😀`}},
		{"single quotes", "", "", `<transaction note='a "b"'/>`, []string{`note=a "b"`}},
		{"a line break in an attribute is a blank", "", "", "<transaction note=\"a\r\n\tb\"/>", []string{"note=a  b"}},
		{"namespaces", "", "", `<t:transaction xmlns="urn:a" xmlns:t="urn:t" xmlns:xsi="urn:x" xsi:type="AP" type="RI" xml:lang="en"/>`,
			[]string{"type=RI"}},

		{"plus, percent, asterisk", "planId=%2Aa+b&note=1%2B1%3D2", "", "", []string{"planId=*a b", "note=1+1=2"}},
		{"empty pairs and no value", "&&a&b=&", "", "", []string{"a=", "b="}},
		{"the same twice", "a=1&a=1", "application/x-www-form-urlencoded", "a=1", []string{"a=1"}},
		{"dotted names", "processingInfo.id=1&processingInfo.city=x", "", "", []string{"processingInfo={}"}},
		{"a semicolon is no separator", "a=1;b=2", "", "", []string{"a=1;b=2"}},
		{"blanks of other kinds", "", "", "{\"note\":\"a\u00a0b\u2028c\"}", []string{"note=a\u00a0b\u2028c"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request("PUT", path+"?"+tt.query, tt.contentType, tt.body)
			fields, _, err := Decode(r, understand(t, r), testLimit)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, flat(fields)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

// canary stands in every refused request, and in no message.
const canary = "4111222233334444"
const formType = "application/x-www-form-urlencoded"

// many is one field more than a request may have; "#" becomes a name.
func many(one, sep string) string {
	var list []string
	for i := range maxFields + 1 {
		list = append(list, strings.ReplaceAll(one, "#", strings.Repeat("x", i+1)))
	}
	return strings.Join(list, sep)
}

var unreadableRequests = []struct {
	name, query, contentType, body string
	status                         int
	says                           string
}{
	{"JSON cut off", "", "", `{"a":"` + canary, 400, "well-formed JSON, near byte"},
	{"JSON with a tail", "", "", `{"a":"` + canary + `"} x`, 400, "well-formed JSON"},
	{"two JSON documents", "", "", `{"a":"` + canary + `"}{"b":1}`, 400, "well-formed JSON"},
	{"JSON trailing comma", "", "", `{"a":"` + canary + `",}`, 400, "well-formed JSON"},
	{"JSON array", "", "application/json", `["` + canary + `"]`, 400, "not json"},
	{"JSON null", "", "application/json", `null`, 400, "not json"},
	{"JSON key twice", "", "", `{"csc":"` + canary + `","csc":"` + canary + `"}`, 400, "the field csc is given twice"},
	{"JSON key twice, one null", "", "", `{"csc":null,"csc":"` + canary + `"}`, 400, "the field csc is given twice"},
	{"JSON key twice, escaped", "", "", `{"csc":"1","\u0063sc":"` + canary + `"}`, 400, "the field csc is given twice"},
	{"JSON number as a key twice", "", "", `{"` + canary + `":1,"` + canary + `":1}`, 400, "a field is given twice"},
	{"JSON without a name", "", "", `{"":"` + canary + `"}`, 400, "no name"},
	{"JSON NUL", "", "", `{"note":"` + canary + `\u0000"}`, 400, "the field note holds a control character"},
	{"JSON line break", "", "", `{"note":"` + canary + `\n"}`, 400, "control character"},
	{"JSON C1 control", "", "", `{"note":"` + canary + `\u0085"}`, 400, "control character"},
	{"JSON half a surrogate", "", "", `{"note":"` + canary + `\ud800"}`, 400, "not UTF-8"},
	{"JSON NUL in a name", "", "", `{"no\u0000te":"` + canary + `"}`, 400, "the name of a field"},
	{"JSON broken UTF-8", "", "", `{"note":"` + canary + "\xff" + `"}`, 400, "not UTF-8"},
	{"JSON deep", "", "", `{"a":` + strings.Repeat(`[`, 5) + canary + strings.Repeat(`]`, 5) + `}`, 400, "nested"},
	{"JSON very deep", "", "", `{"a":` + strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000) + `}`, 400, "JSON"},
	{"JSON too many", "", "", `{` + many(`"#":1`, ",") + `}`, 400, "more than 100 fields"},
	{"JSON says form", "", formType, `{"a":"` + canary + `"}`, 400, "not xurl"},
	{"JSON says XML", "", "text/xml", `{"a":"` + canary + `"}`, 400, "not xml"},

	{"XML cut off", "", "", `<transaction note="` + canary, 400, "well-formed XML, near line 1"},
	{"XML not closed", "", "", "<transaction\n note=\"" + canary + `">`, 400, "well-formed XML, near line 2"},
	{"XML mismatched", "", "", `<transaction><a></b></transaction>`, 400, "well-formed XML"},
	{"XML attribute twice", "", "", `<transaction csc="1" csc="` + canary + `"/>`, 400, "the field csc is given twice"},
	{"XML attribute and element", "", "", `<transaction csc="` + canary + `"><csc/></transaction>`, 400, "the field csc is given twice"},
	{"XML without quotes", "", "", `<transaction csc=` + canary + `/>`, 400, "well-formed XML"},
	{"XML less-than in an attribute", "", "", `<transaction note="<` + canary + `"/>`, 400, "well-formed XML"},
	{"XML wrong element", "", "", `<customer note="` + canary + `"/>`, 400, "must be called transaction"},
	{"XML processing-request on create", "", "", `<processing-request note="` + canary + `"/>`, 400, "must be called transaction"},
	{"XML two documents", "", "", `<transaction/><transaction note="` + canary + `"/>`, 400, "more than one"},
	{"XML text", "", "", `<transaction>` + canary + `</transaction>`, 400, "text outside of attributes"},
	{"XML CDATA", "", "", `<transaction><![CDATA[` + canary + `]]></transaction>`, 400, "text outside of attributes"},
	{"XML tail", "", "", `<transaction/>` + canary, 400, "text outside of attributes"},
	{"XML only a comment", "", "", `<!-- ` + canary + ` -->`, 400, "no XML element"},
	{"XML DOCTYPE", "", "", `<!DOCTYPE transaction SYSTEM "file:///etc/passwd"><transaction/>`, 400, "DOCTYPE"},
	{"XML bomb", "", "", `<!DOCTYPE x [<!ENTITY a "` + canary + `"><!ENTITY b "&a;&a;">]><transaction note="&b;"/>`, 400, "DOCTYPE"},
	{"XML unknown entity", "", "", `<transaction note="&nbsp;` + canary + `"/>`, 400, "well-formed XML"},
	{"XML control reference", "", "", `<transaction note="&#1;` + canary + `"/>`, 400, "XML"},
	{"XML NUL reference", "", "", `<transaction note="&#0;` + canary + `"/>`, 400, "XML"},
	{"XML C1 reference", "", "", `<transaction note="&#x85;` + canary + `"/>`, 400, "control character"},
	{"XML instruction", "", "", `<?php x?><transaction note="` + canary + `"/>`, 400, "processing instructions"},
	{"XML two declarations", "", "", `<?xml version="1.0"?><?xml version="1.0"?><transaction/>`, 400, "processing instructions"},
	{"XML declaration inside", "", "", `<transaction><?xml version="1.0"?></transaction>`, 400, "processing instructions"},
	{"XML Latin-1", "", "", `<?xml version="1.0" encoding="ISO-8859-1"?><transaction/>`, 400, "character set"},
	{"XML deep", "", "", `<transaction>` + strings.Repeat("<a>", 5) + strings.Repeat("</a>", 5) + `</transaction>`, 400, "nested"},
	{"XML too many", "", "", `<transaction ` + many(`#="1"`, " ") + `/>`, 400, "more than 100 fields"},
	{"XML says JSON", "", "application/json", `<transaction note="` + canary + `"/>`, 400, "not json"},
	{"UTF-16", "", "", "\xff\xfe<\x00t\x00", 400, "not UTF-8"},

	{"form contradicts itself", "csc=1&csc=" + canary, "", "", 400, "the field csc is given twice with different values"},
	{"form contradicts the query", "csc=1", formType, "csc=" + canary, 400, "the field csc is given twice with different values"},
	{"JSON contradicts the query", "csc=1", "", `{"csc":"` + canary + `"}`, 400, "the field csc is given twice with different values"},
	{"nested and plain", "a=" + canary + "&a.b=1", "", "", 400, "the field a is given twice"},
	{"form percent", "note=" + canary + "%zz", "", "", 400, "percent sign"},
	{"form percent in a name", "n%te=" + canary, "", "", 400, "percent sign"},
	{"form NUL", "note=" + canary + "%00", "", "", 400, "control character"},
	{"form broken UTF-8", "note=" + canary + "%ff", "", "", 400, "not UTF-8"},
	{"form control in a dotted value", "a.b=%01" + canary, "", "", 400, "control character"},
	{"form without a name", "=" + canary, "", "", 400, "no name"},
	{"form too many", many("#=1", "&"), "", "", 400, "more than 100 fields"},
	{"form line break inside", "", formType, "a=1\nb=" + canary, 400, "control character"},

	{"text", "", "text/plain", "note=" + canary, 415, "Content-Type is none of"},
	{"multipart", "", "multipart/form-data; boundary=x", "--x " + canary, 415, "Content-Type is none of"},
	{"malformed type", "", "application/json; charset", `{"a":"` + canary + `"}`, 415, "Content-Type is malformed"},
	{"Latin-1 by header", "", "application/json; charset=ISO-8859-1", `{"a":"` + canary + `"}`, 415, "character set"},
	{"body too large", "", "", `{"a":"` + strings.Repeat(canary, testLimit/10) + `"}`, 413, "too large"},
	{"query too long", "a=" + strings.Repeat(canary, testLimit/10), "", "", 413, "too long"},
}

func TestDecodeRefuses(t *testing.T) {
	for _, tt := range unreadableRequests {
		t.Run(tt.name, func(t *testing.T) {
			r := request("PUT", "customers/1/transactions", tt.contentType, tt.body)
			r.URL.RawQuery = tt.query
			fields, _, err := Decode(r, understand(t, r), testLimit)
			if err == nil {
				t.Fatalf("understood as %s", fields)
			}
			f := AsFailure(err)
			if f.Code != "F03" || f.Status != tt.status {
				t.Errorf("got %s %d, want F03 %d", f.Code, f.Status, tt.status)
			}
			if !strings.Contains(f.Message, tt.says) {
				t.Errorf("the message is %q, want it to say %q", f.Message, tt.says)
			}
			if strings.Contains(f.Error(), canary) {
				t.Errorf("the message repeats a value: %q", f.Message)
			}
		})
	}
}

// Parameters of the actions that take no object may come as a form, and must
// not come, and go unread, in any other way.
func TestDecodeOfActionsWithoutObject(t *testing.T) {
	const cancel = "customers/1/subscriptions/2/~cancel"
	r := request("GET", cancel+"?note=x", "application/x-www-form-urlencoded", "effectiveDate=2024-06-01")
	fields, _, err := Decode(r, understand(t, r), testLimit)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"effectiveDate=2024-06-01", "note=x"}, flat(fields)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	for _, body := range []string{`{"effectiveDate":"2024-06-01"}`, `<subscription effectiveDate="2024-06-01"/>`} {
		r := request("GET", cancel, "", body)
		_, _, err := Decode(r, understand(t, r), testLimit)
		if err == nil || AsFailure(err).Code != "F03" {
			t.Errorf("%s: got %v, want F03", body, err)
		}
	}
}

func TestDecodeProcessingRequestElement(t *testing.T) {
	for _, root := range []string{"transaction", "processing-request"} {
		r := request("POST", "customers/1/transactions/~process", "", "<"+root+` amount="1"/>`)
		if _, _, err := Decode(r, understand(t, r), testLimit); err != nil {
			t.Errorf("%s: %v", root, err)
		}
	}
}

func TestDecodeRespectsLimits(t *testing.T) {
	body := `{"note":"` + strings.Repeat("x", 1000) + `"}`
	decode := func(r *http.Request, limit int64) *Failure {
		_, _, err := Decode(r, understand(t, r), limit)
		if err == nil {
			return nil
		}
		return AsFailure(err)
	}
	exact := int64(len(body))
	for name, tt := range map[string]struct {
		limit  int64
		hidden bool // the length is not announced
		outer  int64
		fits   bool
	}{
		"just fits":               {exact, false, 1 << 20, true},
		"one too many":            {exact - 1, false, 1 << 20, false},
		"just fits, unannounced":  {exact, true, 1 << 20, true},
		"one too many, as well":   {exact - 1, true, 1 << 20, false},
		"MaxBytesReader in front": {1 << 20, true, 100, false},
	} {
		r := request("PUT", "customers/1/transactions", "", body)
		if tt.hidden {
			r.ContentLength = -1
		}
		r.Body = http.MaxBytesReader(httptest.NewRecorder(), r.Body, tt.outer)
		f := decode(r, tt.limit)
		if tt.fits != (f == nil) {
			t.Errorf("%s: got %v", name, f)
		}
		if f != nil && (f.Code != "F03" || f.Status != http.StatusRequestEntityTooLarge) {
			t.Errorf("%s: got %s %d", name, f.Code, f.Status)
		}
	}

	cut := errors.New("the line was cut")
	r := request("PUT", "customers/1/transactions", "", body)
	r.ContentLength = -1
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:100]), iotest.ErrReader(cut)))
	f := decode(r, 1<<20)
	if f == nil || f.Code != "F03" || f.Status != http.StatusBadRequest || !errors.Is(f, cut) {
		t.Errorf("a cut line: got %v", f)
	}
}

func TestCompressedBodiesAreRefused(t *testing.T) {
	r := request("PUT", "customers", "application/json", "{}")
	r.Header.Set("Content-Encoding", "gzip")
	_, _, err := Decode(r, understand(t, r), testLimit)
	if err == nil || AsFailure(err).Status != http.StatusUnsupportedMediaType {
		t.Errorf("got %v, want 415", err)
	}
	r = request("PUT", "customers", "application/json", "{}")
	r.Header.Set("Content-Encoding", "identity")
	if _, _, err := Decode(r, understand(t, r), testLimit); err != nil {
		t.Errorf("identity: %v", err)
	}
}
