package become

import (
	"regexp"
	"strings"
)

// words are "password" in the translations of Linux-PAM, shadow and util-linux, which is what su and its like ask with in
// the language of the account. A word may be cut to what its inflected forms have in common, as languages that put the
// account's name before it need.
var words = []string{
	"password", "passwort", "passwd", "passphrase",
	"mot de passe", "contraseña", "contrasenya", "contrasinal", "contrasigno", "senha", "palavra-passe",
	"parol", // it: parola d'ordine, ro: parolă, tr, az: parola, parolası, et: parool is below
	"parool", "wachtwoord", "adgangskode", "passord", "lösenord", "lykilorð", "salasana", "pasahitza", "focal faire",
	"hasło", "hasła", "heslo", "hesla", "geslo", "šifra", "lozink", "fjalëkalim", "parole", "slaptažodis", "jelsz", "pasvorto",
	"şifre", "şifrə", "sandi", "kontrasenyas", "iphasiwedi", "mật khẩu",
	"парол", "лозинк", "шифра", "құпиясөз", "συνθηματικό", "κωδικ", "გასაღებ", "პაროლ", "գաղտնաբառ",
	"ססמה", "סיסמה", "كلمة السر", "كلمة المرور", "گذرواژه",
	"शब्दकूट", "गुप्तशब्द", "कूटशब्द", "पासवर्ड", "পাসও", "গুপ্তশব্দ", "પાસવર્ડ", "ਪਾਸਵਰਡ", "ପ୍ରବେଶ ସଙ୍କେତ",
	"கடவுச்சொல்", "సంకేతపదము", "ಗುಪ್ತಪದ", "അടയാളവാക്ക്", "രഹസ്യവാക്ക്", "රහස්පදය", "හස්පදය",
	"รหัสผ่าน", "ពាក្យសម្ងាត់", "ពាក្យ\u200bសម្ងាត់", "ཆོག་ཡིག", "စကားဝှက်",
	"パスワード", "암호", "비밀번호", "密码", "密碼", "口令",
}

const (
	// end is a colon of any width and what may be behind it: blanks of all kinds, or, in Kerberos, another colon.
	end = `[:：៖][:\s\x{a0}\x{202f}\x{3000}\x{200b}]*$`
)

// PasswordPrompt returns the pattern of an unfinished line that asks for a password: one of many languages' words for
// it, or of more, then a few characters that may name an account, and a colon of any width.
func PasswordPrompt(more ...string) *regexp.Regexp {
	var alternatives []string
	for _, w := range append(more[:len(more):len(more)], words...) {
		if w = strings.TrimRight(w, " :：\u00a0"); w != "" {
			alternatives = append(alternatives, anyEncoding(w))
		}
	}
	return regexp.MustCompile(`(?i)(?:` + strings.Join(alternatives, "|") + `)[^:：៖\n]{0,64}` + end)
}

// anyEncoding is the pattern of a word. Where that is written in Latin letters, others may have come in an old encoding, and
// each is then one byte that is no UTF-8.
func anyEncoding(word string) string {
	var b strings.Builder
	latin := strings.ContainsAny(word, "abcdefghijklmnopqrstuvwxyz")
	for _, r := range word {
		q := regexp.QuoteMeta(string(r))
		if latin && r > 0x7f {
			q = `(?:` + q + `|\x{FFFD})`
		}
		b.WriteString(q)
	}
	return b.String()
}
