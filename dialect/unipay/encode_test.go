package unipay

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// fullTransaction has every field of the published sample and none of the newer
// ones.
func fullTransaction() Transaction {
	return Transaction{
		ID: 1, Code: "c", AccountID: 2001, CustomerID: 3, CreateDate: "d", DueDate: "d",
		Type: TransactionPayment, AccountType: AccountVisaCredit, CreatorCode: "u", Amount: 1,
		Balance: 1, AccountNumber: "4", Note: "n", AdjustmentID: 4,
		ProcessingInfo: &ProcessingInfo{
			ID: 1, CreateDate: "d", HolderName: "h", AccountNumber: "4", AccountAccessory: "0422",
			Token: "t", Street: "s", City: "c", State: "s", ZipCode: "z", Phone: "p", Email: "e",
			GatewayTransactionID: "g", ApprovalCode: "a", ResponseDate: "d", ResponseCode: "A01",
			ResponseMessage: "m",
		},
	}
}

// The published samples of the Transaction object have every field and no
// values. Our answer with every field, its values taken away, is the sample to
// the byte; white space between the names aside, which the sample has in plenty.
func TestPublishedTransaction(t *testing.T) {
	answer := One(fullTransaction())
	blank := func(pattern string, f Format) string {
		b, _ := Style{}.encode(f, answer)
		return regexp.MustCompile(pattern).ReplaceAllString(string(b), "$1")
	}

	var want bytes.Buffer
	if err := json.Compact(&want, []byte(sample(t, "transaction/sample.json"))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), blank(`(:")[^"]*`, JSON)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}

	compact, err := strconv.Unquote(strings.TrimSpace(sample(t, "transaction/sample-compact.txt")))
	if err != nil {
		t.Fatal(err)
	}
	tight := func(s string) string {
		s = regexp.MustCompile(`\s*(/?>)\s*`).ReplaceAllString(s, "$1")
		return regexp.MustCompile(`\s+`).ReplaceAllString(s, " ")
	}
	for name, text := range map[string]string{"compact": compact, "long": sample(t, "transaction/sample.xml")} {
		if diff := cmp.Diff(tight(text), blank(`(=")[^"]*`, XML)); diff != "" {
			t.Errorf("XML, %s (-want +got):\n%s", name, diff)
		}
	}

	form := strings.TrimSuffix(strings.TrimPrefix(sample(t, "transaction/sample.xurl"), "?"), "&")
	if diff := cmp.Diff(form, blank(`(=)[^&]*`, XURL)); diff != "" {
		t.Errorf("XURL (-want +got):\n%s", diff)
	}
}

// With the switch for empty strings, a transaction in which little is given
// still has all the names of the sample.
func TestEmptyStrings(t *testing.T) {
	little := Transaction{ID: 1, Amount: 5, ProcessingInfo: &ProcessingInfo{ResponseCode: "D03"}}
	names := func(x any) []string {
		var list []string
		for _, e := range x.(object).fields {
			list = append(list, e.name)
		}
		return list
	}
	var got struct {
		XMLName xml.Name
		Attrs   []xml.Attr `xml:",any,attr"`
		Info    struct {
			Attrs []xml.Attr `xml:",any,attr"`
		} `xml:"processingInfo"`
	}
	b, _ := Style{EmptyStrings: true}.encode(XML, One(little))
	if err := xml.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, a := range append(got.Attrs, got.Info.Attrs...) {
		have = append(have, a.Name.Local)
	}
	full := fullTransaction().wire()
	var want []string
	for _, name := range append(names(full), names(*full.child)...) {
		switch name {
		case "feeAmount", "taxAmount", "invoiceList", "subscriptionId": // newer than the sample
		default:
			want = append(want, name)
		}
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}

	b, _ = Style{EmptyStrings: true}.encode(JSON, One(Adjustment{ID: 3, Type: AdjustmentPause}))
	if want := `{"id":"3","effectiveDate":"","endDate":"","note":"","type":"P","length":""}`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
}

var someInvoice = Transaction{
	ID: 501, Code: "invoice1", AccountID: 2001, CustomerID: 17,
	CreateDate: "2024-05-01 10:15:00", DueDate: "2024-05-01 00:00:00",
	Type: TransactionInvoice, CreatorCode: "api-user", Amount: 1999, Balance: 1999,
}

var someDecline = Transaction{
	ID: 502, Type: TransactionPayment, AccountType: AccountVisaCredit, Amount: 8000,
	SubscriptionID: 9, TaxAmount: 7, InvoiceList: "501,*x",
	ProcessingInfo: &ProcessingInfo{
		Street: "1 <Main> \"St\"", City: "A & B", ZipCode: "1",
		ResponseCode: "D03", ResponseMessage: "Insufficient funds",
	},
}

var someone = Customer{
	ID: 17, Code: "*=&", AccountID: 2001, FirstName: "Zoë", LastName: "O'Hara", IsActive: false,
	Balance: Some[int64](-5),
}

var encodings = []struct {
	name            string
	answer          Answer
	json, xml, xurl string
}{
	{
		"invoice, 4.9", One(someInvoice),
		`{"id":"501","code":"invoice1","accountId":"2001","customerId":"17","createDate":"2024-05-01 10:15:00","dueDate":"2024-05-01 00:00:00","type":"RI","creatorCode":"api-user","amount":"1999","balance":"1999"}`,
		`<transaction id="501" code="invoice1" accountId="2001" customerId="17" createDate="2024-05-01 10:15:00" dueDate="2024-05-01 00:00:00" type="RI" creatorCode="api-user" amount="1999" balance="1999"/>`,
		`id=501&code=invoice1&accountId=2001&customerId=17&createDate=2024-05-01+10%3A15%3A00&dueDate=2024-05-01+00%3A00%3A00&type=RI&creatorCode=api-user&amount=1999&balance=1999`,
	},
	{
		"declined payment", One(someDecline),
		`{"id":"502","type":"AP","accountType":"VC","amount":"8000","taxAmount":"7","balance":"0","invoiceList":"501,*x","subscriptionId":"9","processingInfo":{"street":"1 <Main> \"St\"","city":"A & B","zipCode":"1","responseCode":"D03","responseMessage":"Insufficient funds","address":"1 <Main> \"St\", A & B, 1"}}`,
		`<transaction id="502" type="AP" accountType="VC" amount="8000" taxAmount="7" balance="0" invoiceList="501,*x" subscriptionId="9"><processingInfo street="1 &lt;Main&gt; &#34;St&#34;" city="A &amp; B" zipCode="1" responseCode="D03" responseMessage="Insufficient funds" address="1 &lt;Main&gt; &#34;St&#34;, A &amp; B, 1"/></transaction>`,
		`id=502&type=AP&accountType=VC&amount=8000&taxAmount=7&balance=0&invoiceList=501%2C%2Ax&subscriptionId=9&processingInfo.street=1+%3CMain%3E+%22St%22&processingInfo.city=A+%26+B&processingInfo.zipCode=1&processingInfo.responseCode=D03&processingInfo.responseMessage=Insufficient+funds&processingInfo.address=1+%3CMain%3E+%22St%22%2C+A+%26+B%2C+1`,
	},
	{
		"customer", One(someone),
		`{"id":"17","code":"*=&","accountId":"2001","firstName":"Zoë","lastName":"O'Hara","isActive":"false","balance":"-5"}`,
		`<customer id="17" code="*=&amp;" accountId="2001" firstName="Zoë" lastName="O&#39;Hara" isActive="false" balance="-5"/>`,
		`id=17&code=%2A%3D%26&accountId=2001&firstName=Zo%C3%AB&lastName=O%27Hara&isActive=false&balance=-5`,
	},
	{
		"payment option", One(PaymentOption{
			ID: 1, Type: OptionVisaCredit, AccountNumber: "4***********1111", AccountAccessory: "0422",
			TokenCode: "VC1", IsActive: true, Street1: "1 A", Street2: "2 B", City: "C", State: "NY", ZipCode: "1", CountryCode: "US",
		}),
		`{"id":"1","type":"VC","accountNumber":"4***********1111","accountAccessory":"0422","tokenCode":"VC1","isActive":"true","street1":"1 A","street2":"2 B","city":"C","state":"NY","zipCode":"1","countryCode":"US","address":"1 A, 2 B, C, NY, 1, US"}`,
		`<payment-option id="1" type="VC" accountNumber="4***********1111" accountAccessory="0422" tokenCode="VC1" isActive="true" street1="1 A" street2="2 B" city="C" state="NY" zipCode="1" countryCode="US" address="1 A, 2 B, C, NY, 1, US"/>`,
		`id=1&type=VC&accountNumber=4%2A%2A%2A%2A%2A%2A%2A%2A%2A%2A%2A1111&accountAccessory=0422&tokenCode=VC1&isActive=true&street1=1+A&street2=2+B&city=C&state=NY&zipCode=1&countryCode=US&address=1+A%2C+2+B%2C+C%2C+NY%2C+1%2C+US`,
	},
	{
		"plan", One(Plan{ID: 1, Code: "p", AccountID: 2001, Name: "N", BillingCycleType: CycleMonthly, Amount: 0, TaxAmount: 3, IsActive: true}),
		`{"id":"1","code":"p","accountId":"2001","name":"N","billingCycleType":"M","amount":"0","taxAmount":"3","isActive":"true"}`,
		`<plan id="1" code="p" accountId="2001" name="N" billingCycleType="M" amount="0" taxAmount="3" isActive="true"/>`,
		`id=1&code=p&accountId=2001&name=N&billingCycleType=M&amount=0&taxAmount=3&isActive=true`,
	},
	{
		"subscription", One(Subscription{
			ID: 1, Code: "s", AccountID: 2001, CustomerID: 2, CreateDate: "d", Type: SubscriptionFixed, Length: 12,
			PlanID: 3, PlanName: "N", PaymentOptionID: 4, Amount: 5, BillingCycleType: CycleMonthly, FirstBillingDate: "f",
			NextBillingDate: "n", LastBillingDate: "l", Status: StatusUnbilled, PendingAdjustmentType: AdjustmentFreeze, Note: "x",
		}),
		`{"id":"1","code":"s","accountId":"2001","customerId":"2","createDate":"d","type":"F","length":"12","planId":"3","planName":"N","paymentOptionId":"4","amount":"5","billingCycleType":"M","firstBillingDate":"f","nextBillingDate":"n","lastBillingDate":"l","status":"U","pendingAdjustmentType":"F","note":"x"}`,
		`<subscription id="1" code="s" accountId="2001" customerId="2" createDate="d" type="F" length="12" planId="3" planName="N" paymentOptionId="4" amount="5" billingCycleType="M" firstBillingDate="f" nextBillingDate="n" lastBillingDate="l" status="U" pendingAdjustmentType="F" note="x"/>`,
		`id=1&code=s&accountId=2001&customerId=2&createDate=d&type=F&length=12&planId=3&planName=N&paymentOptionId=4&amount=5&billingCycleType=M&firstBillingDate=f&nextBillingDate=n&lastBillingDate=l&status=U&pendingAdjustmentType=F&note=x`,
	},
	{
		"allocation", One(Allocation{ID: 1, SourceID: 2, TargetID: 3, TargetTransactionType: "RI", SourceTransactionType: "AP", Amount: 4, CreateDate: "d"}),
		`{"id":"1","sourceId":"2","targetId":"3","targetTransactionType":"RI","sourceTransactionType":"AP","amount":"4","createDate":"d"}`,
		`<allocation id="1" sourceId="2" targetId="3" targetTransactionType="RI" sourceTransactionType="AP" amount="4" createDate="d"/>`,
		`id=1&sourceId=2&targetId=3&targetTransactionType=RI&sourceTransactionType=AP&amount=4&createDate=d`,
	},
	{
		"user", One(User{UserName: "api-x", Password: NewSecret("p w"), ExpirationDate: "d"}),
		`{"userName":"api-x","password":"p w","expirationDate":"d"}`,
		`<user userName="api-x" password="p w" expirationDate="d"/>`,
		`userName=api-x&password=p+w&expirationDate=d`,
	},
	{
		"failure", One(Fail(DuplicateCode, "code", `a "quoted" & <other> text`)),
		`{"responseType":"exception","failureCode":"V29","failureMessage":"a \"quoted\" & <other> text"}`,
		`<exception responseType="exception" failureCode="V29" failureMessage="a &#34;quoted&#34; &amp; &lt;other&gt; text"/>`,
		`responseType=exception&failureCode=V29&failureMessage=a+%22quoted%22+%26+%3Cother%3E+text`,
	},
	{
		"adjustments, 2.5", Many([]Adjustment{
			{ID: 1, EffectiveDate: "e", EndDate: "n", Note: "x", Type: AdjustmentFreeze, Length: 3},
			{ID: 2, EffectiveDate: "e", Type: AdjustmentCancel},
		}),
		`[{"id":"1","effectiveDate":"e","endDate":"n","note":"x","type":"F","length":"3"},{"id":"2","effectiveDate":"e","type":"C"}]`,
		`<adjustments><subscription-adjustment id="1" effectiveDate="e" endDate="n" note="x" type="F" length="3"/><subscription-adjustment id="2" effectiveDate="e" type="C"/></adjustments>`,
		"",
	},
	{"no customers", Many([]Customer(nil)), `[]`, `<customers/>`, ""},
	{"no payment options", Many([]PaymentOption{}), `[]`, `<payment-options/>`, ""},
	{"no plans", Many([]Plan{}), `[]`, `<plans/>`, ""},
	{"no subscriptions", Many([]Subscription{}), `[]`, `<subscriptions/>`, ""},
	{"no adjustments", Many([]Adjustment{}), `[]`, `<adjustments/>`, ""},
	{"no transactions", Many([]Transaction{}), `[]`, `<transactions/>`, ""},
	{"no allocations", Many([]Allocation{}), `[]`, `<allocations/>`, ""},
}

func TestEncode(t *testing.T) {
	for _, tt := range encodings {
		for f, want := range map[Format]string{JSON: tt.json, XML: tt.xml, XURL: tt.xurl} {
			wantFormat := f
			if want == "" { // lists have no XURL
				want, wantFormat = tt.json, JSON
			}
			w := httptest.NewRecorder()
			if err := (Style{}).Write(w, f, tt.answer); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, w.Body.String()); diff != "" {
				t.Errorf("%s in %s (-want +got):\n%s", tt.name, f, diff)
			}
			h := w.Header()
			if w.Code != 200 || h.Get("Content-Type") != wantFormat.ContentType() ||
				h.Get("Content-Length") != strconv.Itoa(len(want)) || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s in %s: %d %v", tt.name, f, w.Code, h)
			}
		}
	}
}

// What a processor says goes out in some form even if it is not text.
func TestEncodeSurvivesBrokenText(t *testing.T) {
	broken := Transaction{ID: 1, ProcessingInfo: &ProcessingInfo{ResponseMessage: "a\x00b\xffc\nd"}}
	b, _ := Style{}.encode(JSON, One(broken))
	if !json.Valid(b) {
		t.Errorf("not JSON: %q", b)
	}
	b, _ = Style{}.encode(XML, One(broken))
	if err := xml.Unmarshal(b, new(struct{})); err != nil {
		t.Errorf("not XML: %v: %q", err, b)
	}
}

func TestWriteFailure(t *testing.T) {
	wrong := wrongMethod("this URL is called with PUT", "PUT")
	tests := []struct {
		name          string
		style         Style
		err           error
		status        int
		body          string
		header, value string
	}{
		{"not found", Style{}, Fail(NotFound, "", "no such plan"), 404,
			`{"responseType":"exception","failureCode":"V24","failureMessage":"no such plan"}`, "WWW-Authenticate", ""},
		{"wrapped", Style{}, fmt.Errorf("load: %w", Fail(NotFound, "", "no such plan")), 404,
			`{"responseType":"exception","failureCode":"V24","failureMessage":"no such plan"}`, "Allow", ""},
		{"not found, always 200", Style{AlwaysOK: true}, Fail(NotFound, "", "no such plan"), 200,
			`{"responseType":"exception","failureCode":"V24","failureMessage":"no such plan"}`, "", ""},
		{"login", Style{}, Fail(BadCredentials, "", "wrong"), 401,
			`{"responseType":"exception","failureCode":"L01","failureMessage":"wrong"}`, "WWW-Authenticate", `Basic realm="Billing API", charset="UTF-8"`},
		{"login, always 200", Style{AlwaysOK: true, Realm: "Gym"}, Fail(BadCredentials, "", "wrong"), 401,
			`{"responseType":"exception","failureCode":"L01","failureMessage":"wrong"}`, "WWW-Authenticate", `Basic realm="Gym", charset="UTF-8"`},
		{"method", Style{}, wrong, 405,
			`{"responseType":"exception","failureCode":"U01","failureMessage":"this URL is called with PUT"}`, "Allow", "PUT"},
		{"unexpected", Style{}, errors.New("disk " + canary), 500,
			`{"responseType":"exception","failureCode":"S01","failureMessage":"the request could not be carried out"}`, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := tt.style.WriteFailure(w, JSON, tt.err); err != nil {
				t.Fatal(err)
			}
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tt.status, tt.body)
			}
			if got := w.Header().Get(tt.header); tt.header != "" && got != tt.value {
				t.Errorf("%s: %q, want %q", tt.header, got, tt.value)
			}
		})
	}
}

func TestFailureKeepsTheCauseForTheLog(t *testing.T) {
	cause := errors.New("disk full")
	f := AsFailure(fmt.Errorf("store: %w", cause))
	if !errors.Is(f, cause) || strings.Contains(f.Message, "disk") {
		t.Errorf("got %v with cause %v", f, f.Unwrap())
	}
	if f := Fail(Situation(200), "", "x"); f.Code != "S01" || f.Status != 500 {
		t.Errorf("an unknown situation gives %v", f)
	}
}

// The first letter of every code belongs to the class of its status (5.2).
func TestSituations(t *testing.T) {
	statuses := map[byte][]int{
		'L': {401, 403, 429}, 'F': {400, 413, 415}, 'V': {400, 404, 409}, 'O': {500},
		'U': {404, 405}, 'S': {500, 503},
	}
	if len(situations) != int(Unavailable)+1 {
		t.Errorf("%d rows for %d situations", len(situations), Unavailable+1)
	}
	for s, row := range situations {
		ok := false
		for _, status := range statuses[row.code[0]] {
			ok = ok || status == row.status
		}
		if !ok || len(row.code) != 3 || http.StatusText(row.status) == "" {
			t.Errorf("situation %d: %s with status %d", s, row.code, row.status)
		}
	}
}

func TestAnswerFormat(t *testing.T) {
	tests := []struct {
		accept, contentType string
		body, want          Format
	}{
		{"", "", 0, JSON},
		{"", "", JSON, JSON},
		{"", "", XML, XML},
		{"", "", XURL, JSON},
		{"*/*", "", XML, XML},
		{"*/*", "", 0, JSON},
		{"", "application/xml; charset=x", 0, XML},
		{"", "text/plain", 0, JSON},
		{"application/json", "", XML, JSON},
		{"application/xml", "", JSON, XML},
		{"text/xml", "", 0, XML},
		{"TEXT/XML", "", 0, XML},
		{"application/x-www-form-urlencoded", "", 0, XURL},
		{"image/png", "", XML, XML},
		{"nonsense", "", XML, XML},
		{"application/json, application/xml", "", XML, JSON},
		{"application/json;q=0.8, application/xml", "", JSON, XML},
		{"application/json;q=0.8, application/xml;q=0.9", "", JSON, XML},
		{"application/xml;q=0, */*", "", XML, JSON},
		{"application/json;q=0", "", JSON, JSON}, // nothing is left, and 406 helps nobody
		{"application/xml;q=0.1, */*;q=0.5", "", XML, JSON},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", 0, XML},
		{"application/xml;q=1.5, application/json;q=0.1", "", 0, JSON},
		{"application/xml;q=x, application/json;q=0.1", "", 0, JSON},
		{"application/*;q=0.5", "", XML, XML},
		{"application/json;q=0.999, text/xml;q=1.000", "", 0, XML},
		{"application/x-www-form-urlencoded, */*", "", JSON, XURL},
	}
	for _, tt := range tests {
		h := http.Header{}
		if tt.accept != "" {
			h.Set("Accept", tt.accept)
		}
		if tt.contentType != "" {
			h.Set("Content-Type", tt.contentType)
		}
		if got := AnswerFormat(h, tt.body); got != tt.want {
			t.Errorf("Accept %q, Content-Type %q, body %s: got %s, want %s", tt.accept, tt.contentType, tt.body, got, tt.want)
		}
	}
	h := http.Header{"Accept": {"text/html", "application/xml"}}
	if got := AnswerFormat(h, 0); got != XML {
		t.Errorf("two Accept headers: got %s", got)
	}
}

func TestEnumerations(t *testing.T) {
	checkCodes(t, transactionTypes, 18)
	checkCodes(t, accountTypes, 16)
	checkCodes(t, paymentOptionTypes, 9)
	checkCodes(t, subscriptionTypes, 2)
	checkCodes(t, subscriptionStatuses, 8)
	checkCodes(t, billingCycleTypes, 5)
	checkCodes(t, adjustmentTypes, 3)
	for _, row := range paymentOptionTypes {
		a := row.code.AccountType()
		if a.Meaning() != row.meaning || a.IsCard() == a.IsBank() {
			t.Errorf("%s is %q as an option and %q as an account", row.code, row.meaning, a.Meaning())
		}
	}
	if AccountCash.IsCard() || AccountCash.IsBank() {
		t.Error("cash is neither card nor bank")
	}
	for _, row := range transactionTypes {
		want := strings.Contains("RI RX RF RL RA RO RN AV AR AD AG", string(row.code))
		if row.code.Raises() != want {
			t.Errorf("%s raises the debt: %v", row.code, row.code.Raises())
		}
	}
	if TransactionType("ZZ").Meaning() != "" {
		t.Error("an unknown code has a meaning")
	}
}

func checkCodes[T interface {
	~string
	Meaning() string
}](t *testing.T, list []code[T], n int) {
	t.Helper()
	if len(list) != n {
		t.Errorf("%T: %d codes, want %d", list, len(list), n)
	}
	seen := make(map[T]bool)
	for _, row := range list {
		if seen[row.code] || row.meaning == "" || len(row.code) == 0 || len(row.code) > 2 {
			t.Errorf("%T: bad row %q", list, row.code)
		}
		seen[row.code] = true
		if row.code.Meaning() != row.meaning {
			t.Errorf("%T: %q has another meaning", list, row.code)
		}
	}
}

func TestResponses(t *testing.T) {
	kinds := map[ResponseKind]string{
		Good:   "A01 A02 A03 A05",
		Hard:   "D02 D04 D05 D06 D10 D14 D16 D27 D33 D34 N02 N03 N04 N05 N06 N07 N08",
		Soft:   "D01 D03 D07 D08 D09 D12 D15 D17 D18 D21 D26 D29 D30 E02 E09 N01 N09",
		Notice: "F02 F03 Z02 C01 C02 C03 C04 C05 C06",
	}
	total := 0
	for kind, codes := range kinds {
		for _, c := range strings.Fields(codes) {
			total++
			r, ok := ResponseCode(c).Lookup()
			if !ok || r.Kind != kind || r.Message == "" || r.Code != ResponseCode(c) {
				t.Errorf("%s: %+v %v, want kind %s", c, r, ok, kind)
			}
		}
	}
	if all := Responses(); len(all) != total {
		t.Errorf("%d responses, want %d", len(all), total)
	}
	if _, ok := ResponseCode("X99").Lookup(); ok {
		t.Error("X99 is known")
	}
}

// What is encoded can be decoded to the same, in every format and whatever the
// texts are, as long as they are texts that a request may hold.
func TestDecodeOfEncode(t *testing.T) {
	value := rapid.Custom(func(t *rapid.T) string {
		return strings.Map(func(r rune) rune {
			if !clean(string(r)) {
				return -1
			}
			return r
		}, rapid.String().Draw(t, "value"))
	})
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][A-Za-z0-9]{0,20}`), 0, 20, rapid.ID).Draw(t, "names")
		o := object{element: "transaction"}
		var want []string
		for _, name := range names {
			v := value.Draw(t, "value of "+name)
			o.fields = append(o.fields, text(name, v))
			want = append(want, name+"="+v)
		}
		if rapid.Bool().Draw(t, "child") {
			o.child = &object{element: "processingInfo", fields: []entry{text("id", value.Draw(t, "id"))}}
			if !slices.Contains(names, "processingInfo") {
				want = append(want, "processingInfo={}")
			} else {
				o.child = nil
			}
		}
		for _, f := range []Format{JSON, XML, XURL} {
			b, _ := Style{EmptyStrings: true}.encode(f, Answer{objects: []object{o}})
			var c collector
			var err error
			switch f {
			case JSON:
				err = decodeJSON(&c, b)
			case XML:
				err = decodeXML(&c, b, []string{"transaction"})
			case XURL:
				err = decodeXURL(&c, string(b))
			}
			if err != nil {
				t.Fatalf("%s: %v: %q", f, err, b)
			}
			if diff := cmp.Diff(want, flat(c.fields())); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", f, diff)
			}
		}
	})
}
