# pairsocks.bash - completion of pairsocks(1) for bash.

_pairsocks()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=

    if [ "$COMP_CWORD" = 1 ]; then
        words="connect probe explain passwd --help --version"
    else
        case ${COMP_WORDS[1]}:$previous in
            *:--authority | *:-c | *:--config)
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
                ;;
            *:--proxy) words="none socks4:// socks4a:// socks5:// socks5h:// http:// \
socks4+tls:// socks4a+tls:// socks5+tls:// socks5h+tls:// http+tls://"
                compopt -o nospace 2>/dev/null ;; # a host follows
            explain:--command) words="connect bind udp" ;;
            *:--timeout | *:--peer-name | *:--listener | *:--client | *:--user | *:--address) ;;
            connect:* | probe:*) words="--proxy --tls --peer-name --authority --timeout --help" ;;
            explain:*) words="-c --config --listener --client --user --address --command --help" ;;
            passwd:*) words="--help" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _pairsocks pairsocks
