package unipay

import (
	"slices"
	"testing"
)

// The decoders are fed what anyone on the internet may send. They must not
// panic, must fail as F03 and nothing else, and what they accept must survive
// being written in the same format and read again.

func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"code":"customer1","amount":1999,"isActive":true,"note":null,"x":{"y":[1,"\u00e9"]}}`))
	f.Add([]byte(`{"a":"\ud83d\ude00","a":1e400}`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func(c *collector, b []byte) error { return decodeJSON(c, b) }
		again(t, body, JSON, read)
	})
}

func FuzzDecodeXML(f *testing.F) {
	f.Add([]byte(`<transaction id="1" note='&lt;&#xe9;'><processingInfo id="2"/></transaction>`))
	f.Add([]byte(`<?xml version="1.0"?><!-- a --><t:transaction xmlns:t="u" t:a="1" a="2"></t:transaction>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><transaction note="&b;"/>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func(c *collector, b []byte) error { return decodeXML(c, b, []string{"transaction"}) }
		again(t, body, XML, read)
	})
}

func FuzzDecodeXURL(f *testing.F) {
	f.Add([]byte(`code=subscription1&planId=%2Astandard_monthly&note=a+b&processingInfo.id=1&`))
	f.Add([]byte(`a=1&a=1&=&%zz&b=%00`))
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func(c *collector, b []byte) error { return decodeXURL(c, string(b)) }
		again(t, body, XURL, read)
	})
}

func again(t *testing.T, body []byte, f Format, read func(*collector, []byte) error) {
	t.Helper()
	var first, second collector
	if err := read(&first, body); err != nil {
		if code := AsFailure(err).Code; code != "F03" {
			t.Fatalf("failed with %s: %v", code, err)
		}
		return
	}
	o := object{element: "transaction"}
	var want []string
	for _, fd := range first.set.list {
		if fd.kind == plainField {
			o.fields = append(o.fields, text(fd.name, fd.value))
			want = append(want, fd.name+"="+fd.value)
		}
	}
	written, _ := Style{EmptyStrings: true}.encode(f, Answer{objects: []object{o}})
	if err := read(&second, written); err != nil {
		t.Fatalf("cannot be read again: %v: %q", err, written)
	}
	if got := flat(second.fields()); !slices.Equal(want, got) {
		t.Fatalf("read %q, written and read again %q", want, got)
	}
}
