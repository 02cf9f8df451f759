// gotokens issues tokens of every kind with the two libraries that Go programs issue them with,
// in the types of CNCF distribution's own token package, and prints them with their keys:
//
//	go run . > ../data/go_tokens.json
//
// Each token has to be good to distribution's own verifier, or nothing is printed; those of an
// HMAC are left out there, since distribution takes no secret from a JWKS.
package main

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
)

const (
	issuer  = "https://issuer.example.com"
	service = "registry.example.com"
	subject = "gopher"
)

var algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512",
}

var access = []*token.ResourceActions{
	{Type: "repository", Class: "image", Name: "team/app", Actions: []string{"pull", "push"}},
	{Type: "repository", Name: "library/alpine", Actions: []string{"*"}},
}

var claims = token.ClaimSet{
	Issuer:     issuer,
	Subject:    subject,
	Audience:   token.AudienceList{service},
	Expiration: end.Unix(),
	NotBefore:  begin.Unix(),
	IssuedAt:   begin.Unix(),
	JWTID:      "recorded",
	Access:     access,
}

type record struct {
	Name      string `json:"name"`
	Library   string `json:"library"`
	Algorithm string `json:"alg"`
	Token     string `json:"token"`
}

type document struct {
	Access         []*token.ResourceActions `json:"access"`
	Issuer         string                   `json:"issuer"`
	Keys           jose.JSONWebKeySet       `json:"jwks"`
	RootCertBundle string                   `json:"rootcertbundle"`
	Service        string                   `json:"service"`
	Subject        string                   `json:"subject"`
	Tokens         []record                 `json:"tokens"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

// byGolangJWT signs with golang-jwt; header is what goes beside alg and typ.
func byGolangJWT(algorithm string, private any, header map[string]any) string {
	var mapped jwt.MapClaims
	check(json.Unmarshal(must(json.Marshal(claims)), &mapped))
	for _, name := range []string{"exp", "nbf", "iat"} {
		mapped[name] = int64(mapped[name].(float64))
	}
	made := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), mapped)
	for name, value := range header {
		made.Header[name] = value
	}
	return must(made.SignedString(private))
}

// byGoJose signs with go-jose.
func byGoJose(algorithm string, private any, header map[string]any) string {
	options := (&jose.SignerOptions{}).WithType("JWT")
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	signing := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: private}
	signer := must(jose.NewSigner(signing, options))
	return must(josejwt.Signed(signer).Claims(claims).Serialize())
}

// verified checks a token as distribution's access controller does.
func verified(each record, options token.VerifyOptions) {
	if strings.HasPrefix(each.Algorithm, "HS") {
		return
	}
	allowed := []jose.SignatureAlgorithm{jose.SignatureAlgorithm(each.Algorithm)}
	parsed, err := token.NewToken(each.Token, allowed)
	if err == nil {
		_, err = parsed.Verify(options)
	}
	if err != nil {
		check(fmt.Errorf("%s by %s: %w", each.Name, each.Library, err))
	}
}

func main() {
	ring := keyRing()
	root := issue(1, "root", ecKey(elliptic.P256()), nil, true)
	// distribution leaves leading zero bytes of coordinates out of its thumbprints.
	for thumbprint(root) != plainThumbprint(root) {
		root = issue(1, "root", ecKey(elliptic.P256()), nil, true)
	}
	intermediate := issue(2, "intermediate", ecKey(elliptic.P384()), &root, true)
	leaf := issue(3, "leaf", rsaKey(), &intermediate, false)
	own := issue(4, "self-signed", rsaKey(), nil, false)

	var tokens []record
	add := func(name, library, algorithm, text string) {
		tokens = append(tokens, record{name, library, algorithm, text})
	}
	for _, algorithm := range algorithms {
		k := ring[algorithm]
		header := map[string]any{"kid": k.id}
		add(algorithm+" by kid", "golang-jwt", algorithm, byGolangJWT(algorithm, k.private, header))
		add(algorithm+" by kid", "go-jose", algorithm, byGoJose(algorithm, k.private, header))
	}
	for _, each := range []struct {
		name, algorithm string
		private         crypto.Signer
		header          map[string]any
	}{
		{"kid is the thumbprint of a root", "ES256", root.private,
			map[string]any{"kid": thumbprint(root)}},
		{"kid is the thumbprint of a self-signed certificate", "RS256", own.private,
			map[string]any{"kid": thumbprint(own)}},
		{"x5c is a leaf and its intermediate", "RS256", leaf.private,
			map[string]any{"x5c": chain(leaf, intermediate)}},
		{"x5c is a leaf, its intermediate and the root", "PS256", leaf.private,
			map[string]any{"x5c": chain(leaf, intermediate, root)}},
		{"x5c is a self-signed certificate of the bundle", "RS256", own.private,
			map[string]any{"x5c": chain(own)}},
		{"x5c is a root", "ES256", root.private,
			map[string]any{"x5c": chain(root)}},
		{"jwk names a key of the JWKS", "RS256", ring["RS256"].private.(crypto.Signer),
			map[string]any{"jwk": jose.JSONWebKey{Key: ring["RS256"].public(), KeyID: "rsa"}}},
		{"jwk with a chain", "RS256", leaf.private,
			map[string]any{"jwk": jose.JSONWebKey{
				Key:          leaf.private.Public(),
				Certificates: []*x509.Certificate{leaf.certificate, intermediate.certificate},
			}}},
	} {
		add(each.name, "golang-jwt", each.algorithm,
			byGolangJWT(each.algorithm, each.private, each.header))
	}

	set := publicSet(ring)
	options := token.VerifyOptions{
		TrustedIssuers:    []string{issuer},
		AcceptedAudiences: []string{service},
		Roots:             x509.NewCertPool(),
		TrustedKeys:       map[string]crypto.PublicKey{},
	}
	for _, each := range []authority{root, own} {
		options.Roots.AddCert(each.certificate)
		options.TrustedKeys[thumbprint(each)] = each.certificate.PublicKey
	}
	for _, each := range set.Keys {
		options.TrustedKeys[each.KeyID] = each.Public()
	}
	for _, each := range tokens {
		verified(each, options)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	check(encoder.Encode(document{access, issuer, set, bundle(root, own), service, subject, tokens}))
}

// thumbprint is the id that distribution gives to the key of a root.
func thumbprint(each authority) string {
	return token.GetJWKThumbprint(each.certificate.PublicKey)
}

// plainThumbprint is what RFC 7638 says of the same key.
func plainThumbprint(each authority) string {
	public := jose.JSONWebKey{Key: each.certificate.PublicKey}
	return base64.RawURLEncoding.EncodeToString(must(public.Thumbprint(crypto.SHA256)))
}
