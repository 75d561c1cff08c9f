# pairsocks.bash - completion of pairsocks(1) for bash.

# The numbers of the sessions that there are, if the daemon may be asked.
_pairsocks_ids()
{
    local i

    for ((i = 2; i < COMP_CWORD; i++)); do
        [ "${COMP_WORDS[i]}" = --control ] && local -x PAIRSOCKS_CONTROL=${COMP_WORDS[i + 1]}
    done
    "${COMP_WORDS[0]}" sessions 2>/dev/null | sed -n 's/^ *\([0-9][0-9]*\) .*/\1/p'
}

_pairsocks()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=

    if [ "$COMP_CWORD" = 1 ]; then
        words="connect probe explain passwd status sessions upstreams top close reload upgrade log-level drain --help --version"
    else
        case ${COMP_WORDS[1]}:$previous in
            *:--authority | *:-c | *:--config | *:--control)
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
                ;;
            *:--proxy) words="none socks4:// socks4a:// socks5:// socks5h:// http:// \
socks4+tls:// socks4a+tls:// socks5+tls:// socks5h+tls:// http+tls://"
                compopt -o nospace 2>/dev/null ;; # a host follows
            explain:--command) words="connect bind udp" ;;
            *:--timeout | *:--interval | *:--peer-name | *:--listener | *:--client | *:--user | *:--address) ;;
            connect:* | probe:*) words="--proxy --tls --peer-name --authority --timeout --help" ;;
            explain:*) words="-c --config --listener --client --user --address --command --help" ;;
            passwd:*) words="--help" ;;
            top:*) words="--control --interval --help" ;;
            log-level:*) words="error warning notice info debug --control --json --help" ;;
            close:*) words="--control --json --help $(_pairsocks_ids)" ;;
            status:* | sessions:* | upstreams:* | reload:* | upgrade:* | drain:*) words="--control --json --help" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _pairsocks pairsocks
